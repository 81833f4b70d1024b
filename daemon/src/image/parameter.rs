//! SSM's parameters as aliases of images: a name that launches whichever image it holds.
//!
//! One of the data type `aws:ec2:image` is answered before its value is validated: it holds only once a read
//! gives the version that was answered.
//! <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html>

use aws_sdk_ssm::types::ParameterType;

use super::{Error, Images};
use crate::model::Timestamp;
use crate::remote::{Operation, timestamp};

const PUT: Operation = Operation::new("PutParameter", "ssm:PutParameter");
const GET: Operation = Operation::new("GetParameter", "ssm:GetParameter");
const IMAGE: &str = "aws:ec2:image";

/// A parameter's newest version that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub value: String,
    /// Counts from 1.
    pub version: u64,
    /// `text` or `aws:ec2:image`; empty where SSM does not say.
    pub data_type: String,
    pub modified_at: Option<Timestamp>,
}

impl Images {
    /// Asks for `name` to hold `image` from now on; gives the version that it then has, once it was validated.
    ///
    /// # Errors
    /// `ParameterExists`, without `overwrite`. After an error whose [`Error::answer_lost`] holds, it may come
    /// to hold it: a read tells.
    pub async fn put_parameter(
        &self,
        name: &str,
        image: &str,
        overwrite: bool,
    ) -> Result<u64, Error> {
        let request = self
            .ssm
            .put_parameter()
            .name(name)
            .value(image)
            .r#type(ParameterType::String)
            .data_type(IMAGE)
            .overwrite(overwrite)
            .send();
        let answer = self.call(PUT, name, request).await?;
        let unsaid = || Error::Unanswered(self.told(PUT, name, "the answer gives no version"));
        version(answer.version).ok_or_else(unsaid)
    }

    /// What `name` holds; `None` where there is no such parameter, or nothing was validated yet.
    ///
    /// # Errors
    /// The other faults of a request.
    pub async fn parameter(&self, name: &str) -> Result<Option<Parameter>, Error> {
        let request = self.ssm.get_parameter().name(name).send();
        let answer = match self.call(GET, name, request).await {
            Err(error) if error.code() == Some("ParameterNotFound") => return Ok(None),
            answer => answer?,
        };
        let incomplete = || self.bad_answer(GET, name, "the answer gives no value or no version");
        let parameter = answer.parameter.ok_or_else(incomplete)?;
        Ok(Some(Parameter {
            version: version(parameter.version).ok_or_else(incomplete)?,
            value: parameter.value.ok_or_else(incomplete)?,
            data_type: parameter.data_type.unwrap_or_default(),
            modified_at: parameter.last_modified_date.and_then(timestamp),
        }))
    }
}

/// Where an answer has none, the SDK says 0.
fn version(number: i64) -> Option<u64> {
    u64::try_from(number).ok().filter(|number| *number > 0)
}
