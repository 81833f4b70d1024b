//! The object that a store makes: a head that describes the image, padded to whole pages, and then what
//! stands for the bytes of its snapshots.
//!
//! The other partition's EC2 knows nothing of the account that stored the image, so all that a restore needs
//! is in the object, and with it a BLAKE3 of all bytes after it: a restore reads the whole object again and
//! refuses one of which a single byte is another.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};

use super::image::{ImageTraits, VolumeShape};
use crate::content::Content;

const MAGIC: &[u8; 16] = b"causeway ami v1\n";
/// Magic, digest, and the length of the description.
const FIXED: u64 = 16 + 32 + 8;
/// Where the digested bytes begin.
const DIGESTED_FROM: u64 = 16 + 32;
const PAGE: usize = 4096;
/// A description with 64 KiB of UEFI data and hundreds of tags is smaller.
const DESCRIPTION_BYTES_MAX: u64 = 4 << 20;

/// What an object says of its image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Description {
    pub(super) image_id: String,
    pub(super) name: String,
    pub(super) traits: ImageTraits,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) devices: Vec<StoredDevice>,
}

/// One line of its block device mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredDevice {
    pub(super) device_name: String,
    /// None for an instance store's.
    pub(super) volume: Option<StoredVolume>,
}

/// A volume, and how many of the object's bytes are its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredVolume {
    pub(super) shape: VolumeShape,
    pub(super) bytes: u64,
    pub(super) tags: BTreeMap<String, String>,
}

/// An object's head as it was read: not proven yet.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) description: Description,
    digest: [u8; 32],
    len: u64,
}

/// Puts an object together; `payloads` are its volumes' bytes in the order of its devices.
///
/// # Errors
/// When a payload cannot be read.
pub(super) async fn compose(
    description: &Description,
    payloads: Vec<Content>,
) -> io::Result<Content> {
    let json = serde_json::to_vec(description)?;
    let mut rest = Vec::with_capacity(json.len() + PAGE);
    rest.extend_from_slice(&(json.len() as u64).to_le_bytes());
    rest.extend_from_slice(&json);
    let head = rest.len() + 48;
    rest.resize(rest.len() + head.next_multiple_of(PAGE) - head, 0);
    let mut contents = vec![Content::from(Bytes::from(rest))];
    contents.extend(payloads);
    let digested = Content::join(contents);
    let digest = digest(&digested, 0).await?;
    let start = [MAGIC.as_slice(), &digest].concat();
    Ok(Content::join(vec![Content::from(start), digested]))
}

/// Reads the head of what may be a stored image.
///
/// # Errors
/// One line that says why it is none.
pub(super) async fn read_head(object: &Content) -> Result<Head, String> {
    let none = || "the object is not a stored AMI".to_owned();
    if object.len() < FIXED {
        return Err(none());
    }
    let fixed = read(object, 0, FIXED).await?;
    let (magic, digest, length) = (&fixed[..16], &fixed[16..48], &fixed[48..56]);
    let length = length.try_into().map(u64::from_le_bytes).map_err(|_| none())?;
    let fits = length <= DESCRIPTION_BYTES_MAX && FIXED + length <= object.len();
    if magic != MAGIC || !fits {
        return Err(none());
    }
    let json = read(object, FIXED, FIXED + length).await?;
    let description: Description = serde_json::from_slice(&json).map_err(|_| none())?;
    let digest = digest.try_into().map_err(|_| none())?;
    let head = Head { description, digest, len: (FIXED + length).next_multiple_of(PAGE as u64) };
    match head.len + head.payload_bytes() == object.len() {
        true => Ok(head),
        false => Err("the object has another length than the stored AMI had".to_owned()),
    }
}

impl Head {
    /// Reads the whole object and compares it with what the store wrote.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(super) async fn verify(&self, object: &Content) -> Result<(), String> {
        match digest(object, DIGESTED_FROM).await {
            Ok(digest) if digest == self.digest => Ok(()),
            Ok(_) => Err("the object's bytes are not those that were stored".to_owned()),
            Err(error) => Err(format!("the object cannot be read: {error}")),
        }
    }

    /// What stands for each volume's bytes, in the order of the devices; none for instance stores.
    pub(super) fn payloads(&self, object: &Content) -> Vec<Content> {
        let mut at = self.len;
        let volumes = self.description.devices.iter().filter_map(|d| d.volume.as_ref());
        volumes
            .map(|volume| {
                let start = at;
                at += volume.bytes;
                object.slice(start..at)
            })
            .collect()
    }

    fn payload_bytes(&self) -> u64 {
        let volumes = self.description.devices.iter().filter_map(|d| d.volume.as_ref());
        volumes.fold(0, |sum, volume| sum.saturating_add(volume.bytes))
    }
}

async fn read(object: &Content, from: u64, to: u64) -> Result<Bytes, String> {
    let read = object.slice(from..to);
    read.read_all().await.map_err(|error| format!("the object cannot be read: {error}"))
}

async fn digest(content: &Content, from: u64) -> io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut frames = content.read(from..content.len());
    while let Some(frame) = frames.try_next().await? {
        hasher.update(&frame);
        // Computed bytes are always ready: other connections want their turn, too.
        tokio::task::yield_now().await;
    }
    Ok(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Synthetic;
    use crate::ec2::image::ImageSpec;

    fn description(bytes: [u64; 2]) -> Description {
        let spec = ImageSpec::new("golden");
        let shape = spec.devices[0].volume.clone().unwrap();
        let device = |name: &str, bytes| StoredDevice {
            device_name: name.to_owned(),
            volume: Some(StoredVolume { shape: shape.clone(), bytes, tags: BTreeMap::new() }),
        };
        Description {
            image_id: "ami-0123456789abcdef0".to_owned(),
            name: "golden".to_owned(),
            traits: spec.traits,
            tags: BTreeMap::from([("team".to_owned(), "images".to_owned())]),
            devices: vec![device("/dev/xvda", bytes[0]), device("/dev/xvdb", bytes[1])],
        }
    }

    async fn composed() -> Content {
        let payloads =
            vec![Synthetic::new(1, 3 << 20).into(), Content::from(b"a small disk".to_vec())];
        compose(&description([3 << 20, 12]), payloads).await.unwrap()
    }

    #[tokio::test]
    async fn what_was_composed_is_read_back() {
        let object = composed().await;
        let head = read_head(&object).await.unwrap();
        assert_eq!(head.description, description([3 << 20, 12]));
        assert_eq!(head.verify(&object).await, Ok(()));
        let payloads = head.payloads(&object);
        assert_eq!(payloads[1].read_all().await.unwrap(), "a small disk");
        assert!(Synthetic::new(1, 3 << 20).matches(0, &payloads[0].read_all().await.unwrap()));
    }

    /// In the description, in the padding, in the payload, in the digest itself.
    #[tokio::test]
    async fn one_wrong_bit_is_refused_wherever_it_is() {
        let object = composed().await;
        let bytes = object.read_all().await.unwrap();
        for at in [20, 100, 4000, 5000, 2 << 20, bytes.len() - 1] {
            let mut wrong = bytes.to_vec();
            wrong[at] ^= 1;
            let wrong = Content::from(wrong);
            let verified = match read_head(&wrong).await {
                Ok(head) => head.verify(&wrong).await,
                Err(reason) => Err(reason),
            };
            assert!(verified.is_err(), "byte {at}");
        }
    }

    #[tokio::test]
    async fn what_is_no_stored_image_is_refused() {
        let bytes = composed().await.read_all().await.unwrap();
        for wrong in [&b"short"[..], &[0; 9000], &bytes[..bytes.len() - 1], &bytes[..60]] {
            assert!(read_head(&Content::from(wrong.to_vec())).await.is_err());
        }
    }
}
