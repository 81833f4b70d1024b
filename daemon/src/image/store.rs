//! Store tasks: an image becomes one object in a bucket of its Region.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateStoreImageTask.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeStoreImageTasks.html>

use aws_sdk_ec2::operation::create_store_image_task::builders::CreateStoreImageTaskFluentBuilder;
use aws_sdk_ec2::operation::describe_store_image_tasks::builders::DescribeStoreImageTasksFluentBuilder;
use aws_sdk_ec2::types::{Filter, S3ObjectTag, StoreImageTaskResult};

use super::pages;
use super::{Error, Images, Tags};
use crate::model::Timestamp;
use crate::remote::{Operation, timestamp};

const CREATE: Operation = Operation::new("CreateStoreImageTask", "ec2:CreateStoreImageTask");
const DESCRIBE: Operation =
    Operation::new("DescribeStoreImageTasks", "ec2:DescribeStoreImageTasks");

/// Ids that can be asked for at once.
const IDS_MAX: usize = 20;
const PAGE_MAX: i32 = 200;
/// What an error about all tasks names as their resource.
const ALL: &str = "store tasks";

/// A store, as EC2 shows it for 31 days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreTask {
    /// `ami-…`
    pub image: String,
    pub bucket: String,
    pub key: String,
    pub state: StoreState,
    /// 0 to 100.
    pub percent: u8,
    pub started_at: Option<Timestamp>,
}

/// How a store stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreState {
    InProgress,
    Completed,
    Failed {
        /// Empty where EC2 does not say.
        reason: String,
    },
    /// A word that is not documented.
    Other(String),
}

impl Images {
    /// Begins to store `image` in `bucket`; gives the object's key. The object gets these tags.
    ///
    /// # Errors
    /// `Quota`: ask again later. After an error whose [`Error::answer_lost`] holds, the task may run: its
    /// image's tasks tell.
    pub async fn store(&self, image: &str, bucket: &str, tags: &Tags) -> Result<String, Error> {
        let pair =
            |(key, value): (&String, &String)| S3ObjectTag::builder().key(key).value(value).build();
        let tags = (!tags.is_empty()).then(|| tags.iter().map(pair).collect());
        let request = self.store_request(image, bucket).set_s3_object_tags(tags).send();
        let answer = self.call(CREATE, image, request).await?;
        self.created(CREATE, image, answer.object_key)
    }

    /// Whether [`Images::store`] would be permitted. Whether the bucket may be written, EC2 does not say.
    ///
    /// # Errors
    /// As that.
    pub async fn may_store(&self, image: &str, bucket: &str) -> Result<(), Error> {
        let request = self.store_request(image, bucket).dry_run(true).send();
        self.rehearse(CREATE, image, request).await
    }

    fn store_request(&self, image: &str, bucket: &str) -> CreateStoreImageTaskFluentBuilder {
        self.ec2.create_store_image_task().image_id(image).bucket(bucket)
    }

    /// The stores of these images that were begun in the last 31 days, an image's newest first.
    ///
    /// # Errors
    /// The faults of a request.
    pub async fn store_tasks(&self, images: &[String]) -> Result<Vec<StoreTask>, Error> {
        let mut tasks = Vec::new();
        for ids in images.chunks(IDS_MAX) {
            // With ids, EC2 takes no page size and ignores filters.
            let request = self.ec2.describe_store_image_tasks().set_image_ids(Some(ids.to_vec()));
            tasks.extend(self.describe_stores(request, &ids.join(",")).await?);
        }
        tasks.retain(|task| images.contains(&task.image));
        Ok(tasks)
    }

    /// All stores of the account and Region that are in progress, whoever began them, newest first.
    ///
    /// # Errors
    /// The faults of a request.
    pub async fn store_tasks_in_progress(&self) -> Result<Vec<StoreTask>, Error> {
        let filter = Filter::builder().name("task-state").values("InProgress").build();
        let request = self.ec2.describe_store_image_tasks().filters(filter).max_results(PAGE_MAX);
        let mut tasks = self.describe_stores(request, ALL).await?;
        tasks.retain(|task| task.state == StoreState::InProgress);
        Ok(tasks)
    }

    async fn describe_stores(
        &self,
        request: DescribeStoreImageTasksFluentBuilder,
        about: &str,
    ) -> Result<Vec<StoreTask>, Error> {
        let endless = || self.bad_answer(DESCRIBE, about, "its pages do not end");
        let page = |token| {
            let request = request.clone().set_next_token(token);
            async move {
                let answer = self.call(DESCRIBE, about, request.send()).await?;
                let page = pages::page(answer.store_image_task_results, read, answer.next_token);
                page.ok_or_else(|| {
                    self.bad_answer(DESCRIBE, about, "a task has no image, bucket, key or state")
                })
            }
        };
        pages::all(page, endless).await
    }
}

fn read(task: StoreImageTaskResult) -> Option<StoreTask> {
    let percent = task.progress_percentage.unwrap_or_default().clamp(0, 100);
    let reason = task.store_task_failure_reason.unwrap_or_default();
    let state = match task.store_task_state? {
        word if word == "InProgress" => StoreState::InProgress,
        word if word == "Completed" => StoreState::Completed,
        word if word == "Failed" => StoreState::Failed { reason },
        word => StoreState::Other(word),
    };
    Some(StoreTask {
        image: task.ami_id?,
        bucket: task.bucket?,
        key: task.s3object_key?,
        state,
        percent: u8::try_from(percent).unwrap_or_default(),
        started_at: task.task_start_time.and_then(timestamp),
    })
}
