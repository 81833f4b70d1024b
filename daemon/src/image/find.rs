//! DescribeImages: one image by its id, or the account's own by a name or tag.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html>

use aws_sdk_ec2::operation::describe_images::builders::DescribeImagesFluentBuilder;
use aws_sdk_ec2::types::Filter;

use super::found::read;
use super::pages;
use super::{Error, Image, Images, Tags};
use crate::remote::Operation;

const DESCRIBE: Operation = Operation::new("DescribeImages", "ec2:DescribeImages");
const PAGE_MAX: i32 = 1000;

/// What an image is found by: the very text, without wildcards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By<'a> {
    Name(&'a str),
    Tag { key: &'a str, value: &'a str },
}

impl By<'_> {
    fn filter(self) -> Filter {
        let (name, value) = match self {
            Self::Name(name) => ("name".to_owned(), name),
            Self::Tag { key, value } => (format!("tag:{key}"), value),
        };
        Filter::builder().name(name).values(literal(value)).build()
    }

    /// Servers exist that ignore filters.
    fn fits(self, image: &Image) -> bool {
        match self {
            Self::Name(name) => image.name == name,
            Self::Tag { key, value } => image.tags.get(key).is_some_and(|has| has == value),
        }
    }

    fn about(self) -> String {
        match self {
            Self::Name(name) => format!("images named {name}"),
            Self::Tag { key, value } => format!("images tagged {key}={value}"),
        }
    }
}

/// A filter's value that stands for itself alone.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html#Filtering_Resources_CLI>
fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '\\') {
            literal.push('\\');
        }
        literal.push(c);
    }
    literal
}

impl Images {
    /// The image, deprecated and disabled ones too; `None` where the account sees none of this id. One that
    /// was just made may not be seen yet.
    ///
    /// # Errors
    /// The other faults of a request.
    pub async fn image(&self, id: &str) -> Result<Option<Image>, Error> {
        let found = match self.describe_images(self.images_request().image_ids(id), id).await {
            Err(Error::NoSuchImage(_)) => return Ok(None),
            found => found?,
        };
        match found.into_iter().next() {
            Some(image) if image.id.as_str() != id => {
                let message = format!("the answer is about {}", image.id);
                Err(self.bad_answer(DESCRIBE, id, &message))
            }
            found => Ok(found),
        }
    }

    /// The account's own images with this name or tag, deprecated and disabled ones too. One that was just
    /// made may be missing.
    ///
    /// # Errors
    /// The faults of a request.
    pub async fn find_images(&self, by: By<'_>) -> Result<Vec<Image>, Error> {
        let request =
            self.images_request().owners("self").filters(by.filter()).max_results(PAGE_MAX);
        let mut found = self.describe_images(request, &by.about()).await?;
        found.retain(|image| by.fits(image));
        Ok(found)
    }

    /// The account's own images whose names and tags match these globs of EC2, all of them.
    ///
    /// # Errors
    /// The faults of a request.
    pub async fn matching(&self, name: Option<&str>, tags: &Tags) -> Result<Vec<Image>, Error> {
        let filter = |name: String, glob: &str| Filter::builder().name(name).values(glob).build();
        let tags = tags.iter().map(|(key, glob)| filter(format!("tag:{key}"), glob));
        let filters: Vec<_> =
            name.map(|glob| filter("name".into(), glob)).into_iter().chain(tags).collect();
        let request = self.images_request().owners("self").max_results(PAGE_MAX);
        let request = request.set_filters((!filters.is_empty()).then_some(filters));
        self.describe_images(request, "images of the account").await
    }

    fn images_request(&self) -> DescribeImagesFluentBuilder {
        self.ec2.describe_images().include_deprecated(true).include_disabled(true)
    }

    async fn describe_images(
        &self,
        request: DescribeImagesFluentBuilder,
        about: &str,
    ) -> Result<Vec<Image>, Error> {
        let endless = || self.bad_answer(DESCRIBE, about, "its pages do not end");
        let page = |token| {
            let request = request.clone().set_next_token(token);
            async move {
                let answer = self.call(DESCRIBE, about, request.send()).await?;
                let page = pages::page(answer.images, read, answer.next_token);
                page.ok_or_else(|| {
                    self.bad_answer(DESCRIBE, about, "an image has no id, state or owner")
                })
            }
        };
        pages::all(page, endless).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_stands_for_its_text_alone() {
        assert_eq!(literal(r"golden-* (v1?) a\b"), r"golden-\* (v1\?) a\\b");
    }
}
