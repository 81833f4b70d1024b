//! DescribeImageAttribute: what DescribeImages leaves out.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImageAttribute.html>

use aws_sdk_ec2::types::ImageAttributeName;

use super::{Error, Images};
use crate::remote::Operation;

const DESCRIBE: Operation = Operation::new("DescribeImageAttribute", "ec2:DescribeImageAttribute");

impl Images {
    /// The UEFI variables that an image of the account boots with, base64; `None` where it has none.
    ///
    /// # Errors
    /// `AccessDenied` for somebody else's image; the other faults of a request.
    pub async fn uefi_data(&self, image: &str) -> Result<Option<String>, Error> {
        let request = self.ec2.describe_image_attribute().image_id(image);
        let request = request.attribute(ImageAttributeName::UefiData).send();
        let answer = self.call(DESCRIBE, image, request).await?;
        let data = answer.uefi_data.and_then(|value| value.value);
        Ok(data.filter(|data| !data.is_empty()))
    }
}
