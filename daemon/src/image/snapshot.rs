//! DescribeSnapshots: how those that an image stands on are.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshots.html>

use aws_sdk_ec2::types;

use super::pages;
use super::{Error, Images, Tags, tags};
use crate::model::Timestamp;
use crate::remote::{Operation, timestamp};

const DESCRIBE: Operation = Operation::new("DescribeSnapshots", "ec2:DescribeSnapshots");

/// Ids that are asked for at once. No page gives a limit; a form of thousands of parameters is none to try.
const IDS_MAX: usize = 200;

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// `snap-…`
    pub id: String,
    pub state: SnapshotState,
    /// Why it failed, where EC2 says.
    pub state_message: Option<String>,
    /// 0 to 100; `None` where EC2 does not say.
    pub percent: Option<u8>,
    /// The volume's size in GiB.
    pub gib: Option<u32>,
    pub encrypted: bool,
    /// The key's ARN.
    pub kms_key: Option<String>,
    /// The account.
    pub owner: String,
    pub description: Option<String>,
    pub started_at: Option<Timestamp>,
    pub tags: Tags,
}

/// How a snapshot stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotState {
    Pending,
    Completed,
    Failed,
    /// `recoverable` and `recovering`: it is in the recycle bin. Or a word that is not known here.
    Other(String),
}

impl Images {
    /// These snapshots, in no order.
    ///
    /// # Errors
    /// `NoSuchSnapshot` where the account does not see one of them.
    pub async fn snapshots(&self, ids: &[String]) -> Result<Vec<Snapshot>, Error> {
        let mut snapshots = Vec::new();
        for ids in ids.chunks(IDS_MAX) {
            snapshots.extend(self.describe_snapshots(ids).await?);
        }
        Ok(snapshots)
    }

    async fn describe_snapshots(&self, ids: &[String]) -> Result<Vec<Snapshot>, Error> {
        let about = &ids.join(",");
        // With ids, EC2 takes no page size.
        let request = self.ec2.describe_snapshots().set_snapshot_ids(Some(ids.to_vec()));
        let endless = || self.bad_answer(DESCRIBE, about, "its pages do not end");
        let page = |token| {
            let request = request.clone().set_next_token(token);
            async move {
                let answer = self.call(DESCRIBE, about, request.send()).await?;
                let page = pages::page(answer.snapshots, read, answer.next_token);
                page.ok_or_else(|| {
                    self.bad_answer(DESCRIBE, about, "a snapshot has no id, state or owner")
                })
            }
        };
        let found = pages::all(page, endless).await?;
        match ids.iter().find(|id| found.iter().all(|snapshot| snapshot.id != **id)) {
            None => Ok(found),
            Some(id) => {
                let message = format!("the answer leaves {id} out");
                Err(self.bad_answer(DESCRIBE, about, &message))
            }
        }
    }
}

fn read(snapshot: types::Snapshot) -> Option<Snapshot> {
    let percent = snapshot.progress.and_then(|text| text.trim_end_matches('%').parse::<u8>().ok());
    Some(Snapshot {
        id: snapshot.snapshot_id?,
        state: match snapshot.state? {
            types::SnapshotState::Pending => SnapshotState::Pending,
            types::SnapshotState::Completed => SnapshotState::Completed,
            types::SnapshotState::Error => SnapshotState::Failed,
            word => SnapshotState::Other(word.as_str().to_owned()),
        },
        state_message: snapshot.state_message.filter(|text| !text.is_empty()),
        percent: percent.filter(|percent| *percent <= 100),
        gib: snapshot.volume_size.and_then(|size| u32::try_from(size).ok()),
        encrypted: snapshot.encrypted.unwrap_or_default(),
        kms_key: snapshot.kms_key_id,
        owner: snapshot.owner_id?,
        description: snapshot.description.filter(|text| !text.is_empty()),
        started_at: snapshot.start_time.and_then(timestamp),
        tags: tags::read(snapshot.tags),
    })
}
