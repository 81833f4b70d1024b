//! DescribeImageAttribute, for the one attribute that DescribeImages leaves out and a migration needs.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImageAttribute.html>

use super::Ec2;
use crate::api::Refused;
use crate::lock::lock;
use crate::query::{Form, Written};

impl Ec2 {
    pub(super) fn describe_image_attribute(&self, form: &Form) -> Result<Written, Refused> {
        let (id, attribute) = (form.need("ImageId")?, form.need("Attribute")?);
        if attribute != "uefiData" {
            let message = format!("The attribute {attribute} is not one that this endpoint shows");
            return Err(Refused::new("InvalidParameterValue", message));
        }
        let data = lock(&self.0.state).own_image(id)?.traits.uefi_data.clone();
        let id = id.to_owned();
        Ok(Box::new(move |xml| {
            xml.leaf("imageId", id);
            xml.node("uefiData", |xml| xml.leaf_if("value", data));
        }))
    }
}
