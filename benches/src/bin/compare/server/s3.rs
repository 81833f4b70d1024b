//! S3's operations, as far as the tools use them.

use super::Shared;
use super::exchange::{Received, Request, crc_text};
use super::reply::{Payload, Refusal, Reply};
use super::store::{Object, Part};

const KEYS_MAX: usize = 1_000;
const LAST_MODIFIED: &str = "Sat, 21 Nov 2026 00:00:00 GMT";
const LAST_MODIFIED_ISO: &str = "2026-11-21T00:00:00.000Z";

type Answer = Result<Reply, Refusal>;

/// Answers a request whose body was received.
pub fn answer(shared: &Shared, request: &Request, received: &Received) -> Reply {
    let operation = Operation::of(request);
    shared.store.asked(&format!("{operation:?}"));
    let call = Call { shared, request, received };
    let outcome = call.check().and_then(|()| call.answer(operation));
    outcome.unwrap_or_else(Reply::from).bodiless(request.method == "HEAD")
}

#[derive(Debug, Clone, Copy)]
enum Operation {
    HeadBucket,
    GetBucketLocation,
    GetBucketVersioning,
    ListObjects,
    ListMultipartUploads,
    HeadObject,
    GetObject,
    GetObjectTagging,
    PutObject,
    PutObjectTagging,
    CreateMultipartUpload,
    UploadPart,
    ListParts,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    DeleteObject,
    CreateBucket,
    Unknown,
}

impl Operation {
    fn of(request: &Request) -> Self {
        let has = |name| request.query(name).is_some();
        match (request.method.as_str(), request.key.is_empty()) {
            _ if has("attributes") || request.header("x-amz-copy-source").is_some() => {
                Self::Unknown
            }
            ("HEAD", true) => Self::HeadBucket,
            ("GET", true) if has("location") => Self::GetBucketLocation,
            ("GET", true) if has("versioning") => Self::GetBucketVersioning,
            ("GET", true) if has("uploads") => Self::ListMultipartUploads,
            ("GET", true) => Self::ListObjects,
            ("PUT", true) => Self::CreateBucket,
            ("HEAD", false) => Self::HeadObject,
            ("GET", false) if has("tagging") => Self::GetObjectTagging,
            ("GET", false) if has("uploadId") => Self::ListParts,
            ("GET", false) => Self::GetObject,
            ("PUT", false) if has("tagging") => Self::PutObjectTagging,
            ("PUT", false) if has("partNumber") => Self::UploadPart,
            ("PUT", false) => Self::PutObject,
            ("POST", false) if has("uploads") => Self::CreateMultipartUpload,
            ("POST", false) if has("uploadId") => Self::CompleteMultipartUpload,
            ("DELETE", false) if has("uploadId") => Self::AbortMultipartUpload,
            ("DELETE", false) => Self::DeleteObject,
            _ => Self::Unknown,
        }
    }
}

struct Call<'a> {
    shared: &'a Shared,
    request: &'a Request,
    received: &'a Received,
}

impl Call<'_> {
    /// What holds for every request: this side's key, and a body that is what it says.
    fn check(&self) -> Result<(), Refusal> {
        let authorization = self.request.header("authorization").unwrap_or_default();
        let ours = format!("Credential={}/", self.shared.access_key_id);
        if !authorization.contains(&ours) {
            return Err(Refusal::new(403, "InvalidAccessKeyId", "the other side's key, or none"));
        }
        if !self.received.is_whole {
            return Err(self.shared.store.fault("a body is not as long as declared".to_owned()));
        }
        let sum = crc_text(self.received.crc64nvme);
        match &self.received.declared {
            // On Complete it is the object's.
            Some(declared) if self.request.method == "PUT" && *declared != sum => {
                Err(self.shared.store.fault("a body's CRC64NVME is not as declared".to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn answer(&self, operation: Operation) -> Answer {
        let store = &self.shared.store;
        match operation {
            Operation::HeadBucket | Operation::CreateBucket | Operation::PutObjectTagging => {
                Ok(Reply::new(200))
            }
            Operation::GetBucketLocation => Ok(Reply::xml("LocationConstraint", "")),
            Operation::GetBucketVersioning => Ok(Reply::xml("VersioningConfiguration", "")),
            Operation::GetObjectTagging => Ok(Reply::xml("Tagging", "<TagSet></TagSet>")),
            Operation::ListObjects => Ok(self.list_objects()),
            Operation::ListMultipartUploads => Ok(self.list_uploads()),
            Operation::HeadObject | Operation::GetObject => self.get(),
            Operation::PutObject => self.put(),
            Operation::CreateMultipartUpload => Ok(self.create_upload()),
            Operation::UploadPart => self.upload_part(),
            Operation::ListParts => self.list_parts(),
            Operation::CompleteMultipartUpload => self.complete(),
            Operation::AbortMultipartUpload => {
                store.abort(self.upload_id()).map(|()| Reply::new(204))
            }
            Operation::DeleteObject => {
                store.delete(&self.request.key);
                Ok(Reply::new(204))
            }
            Operation::Unknown => {
                Err(Refusal::new(501, "NotImplemented", "this server does not know the operation"))
            }
        }
    }

    fn upload_id(&self) -> &str {
        self.request.query("uploadId").unwrap_or_default()
    }

    fn list_objects(&self) -> Reply {
        let query = |name| self.request.query(name);
        let after = query("continuation-token").or(query("start-after")).or(query("marker"));
        let max = query("max-keys").and_then(|text| text.parse().ok()).unwrap_or(KEYS_MAX);
        let prefix = query("prefix").unwrap_or_default();
        let (found, more) = self.shared.store.list(prefix, after.unwrap_or_default(), max);
        let row = |(key, object): &(String, Object)| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>{LAST_MODIFIED_ISO}</LastModified>\
                 <ETag>{}</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                object.etag, object.size
            )
        };
        let rows: String = found.iter().map(row).collect();
        let next = match found.last() {
            Some((key, _)) if more => {
                format!(
                    "<NextContinuationToken>{key}</NextContinuationToken><NextMarker>{key}</NextMarker>"
                )
            }
            _ => String::new(),
        };
        Reply::xml(
            "ListBucketResult",
            &format!(
                "<Name>{}</Name><Prefix>{prefix}</Prefix><KeyCount>{}</KeyCount>\
                 <MaxKeys>{max}</MaxKeys><IsTruncated>{more}</IsTruncated>{next}{rows}",
                self.request.bucket,
                found.len()
            ),
        )
    }

    fn list_uploads(&self) -> Reply {
        let prefix = self.request.query("prefix").unwrap_or_default();
        let uploads = self.shared.store.uploads();
        let row = |(id, upload): &(String, super::store::Upload)| {
            format!(
                "<Upload><Key>{}</Key><UploadId>{id}</UploadId>\
                 <Initiated>{LAST_MODIFIED_ISO}</Initiated></Upload>",
                upload.key
            )
        };
        let rows: String =
            uploads.iter().filter(|(_, upload)| upload.key.starts_with(prefix)).map(row).collect();
        let bucket = &self.request.bucket;
        Reply::xml(
            "ListMultipartUploadsResult",
            &format!("<Bucket>{bucket}</Bucket><IsTruncated>false</IsTruncated>{rows}"),
        )
    }

    fn get(&self) -> Answer {
        let object = self.shared.store.find(&self.request.key);
        let object = object.ok_or_else(|| Refusal::new(404, "NoSuchKey", "no such object"))?;
        let etag = object.etag.as_str();
        if self.request.header("if-match").is_some_and(|asked| asked != etag) {
            return Err(Refusal::new(412, "PreconditionFailed", "another ETag"));
        }
        let range = self.request.header("range").and_then(|text| range(text, object.size));
        let (status, start, len) = match range {
            Some((start, len)) => (206, start, len),
            None => (200, 0, object.size),
        };
        let mut reply = Reply::new(status)
            .with("etag", etag)
            .with("last-modified", LAST_MODIFIED)
            .with("accept-ranges", "bytes")
            .with("content-type", "application/octet-stream")
            .carrying(Payload::Object { index: object.index, start, len });
        if status == 206 {
            let last = (start + len).saturating_sub(1);
            reply = reply.with("content-range", format!("bytes {start}-{last}/{}", object.size));
        } else if self.request.header("x-amz-checksum-mode").is_some() {
            reply = full_checksum(reply, object.crc64nvme);
        }
        Ok(reply)
    }

    fn put(&self) -> Answer {
        self.refuse_if_present()?;
        let Received { len, crc64nvme, .. } = *self.received;
        let object = self.shared.store.publish(&self.request.key, len, crc64nvme)?;
        Ok(full_checksum(Reply::new(200).with("etag", object.etag), object.crc64nvme))
    }

    fn refuse_if_present(&self) -> Result<(), Refusal> {
        let only_if_absent = self.request.header("if-none-match") == Some("*");
        match only_if_absent && self.shared.store.find(&self.request.key).is_some() {
            true => Err(Refusal::new(412, "PreconditionFailed", "the object exists")),
            false => Ok(()),
        }
    }

    fn create_upload(&self) -> Reply {
        let Request { bucket, key, .. } = self.request;
        let id = self.shared.store.begin(key);
        let mut reply = Reply::xml(
            "InitiateMultipartUploadResult",
            &format!("<Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId>"),
        );
        for name in ["x-amz-checksum-algorithm", "x-amz-checksum-type"] {
            if let Some(value) = self.request.header(name) {
                reply = reply.with(name, value);
            }
        }
        reply
    }

    fn upload_part(&self) -> Answer {
        let number = self.request.query("partNumber").and_then(|text| text.parse().ok());
        let number =
            number.ok_or_else(|| Refusal::new(400, "InvalidArgument", "no part number"))?;
        let Received { len, crc64nvme, .. } = *self.received;
        let part = Part::new(len, crc64nvme);
        let reply = Reply::new(200)
            .with("etag", &part.etag)
            .with("x-amz-checksum-crc64nvme", crc_text(crc64nvme));
        self.shared.store.add(self.upload_id(), number, part)?;
        Ok(reply)
    }

    fn list_parts(&self) -> Answer {
        let upload = self.shared.store.upload(self.upload_id())?;
        let after = self.request.query("part-number-marker").and_then(|text| text.parse().ok());
        let behind = upload.parts.range(after.map_or(0, |after: u64| after + 1)..);
        let row = |(number, part): (&u64, &Part)| {
            format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag><Size>{}</Size>\
                 <ChecksumCRC64NVME>{}</ChecksumCRC64NVME></Part>",
                part.etag,
                part.size,
                crc_text(part.crc64nvme)
            )
        };
        let last = upload.parts.range(after.unwrap_or(0)..).nth(KEYS_MAX).map(|(number, _)| number);
        let next = last.map(|last| format!("<NextPartNumberMarker>{last}</NextPartNumberMarker>"));
        let rows: String = behind.take(KEYS_MAX).map(row).collect();
        let Request { bucket, key, .. } = self.request;
        Ok(Reply::xml(
            "ListPartsResult",
            &format!(
                "<Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{}</UploadId>{}\
                 <IsTruncated>{}</IsTruncated>{rows}",
                self.upload_id(),
                next.unwrap_or_default(),
                last.is_some()
            ),
        ))
    }

    fn complete(&self) -> Answer {
        self.refuse_if_present()?;
        let named = named_parts(&self.received.text);
        let object = self.shared.store.complete(self.upload_id(), &named)?;
        let sum = crc_text(object.crc64nvme);
        if self.received.declared.as_ref().is_some_and(|declared| *declared != sum) {
            return Err(self.shared.store.fault("Complete declares another CRC64NVME".to_owned()));
        }
        let Request { bucket, key, .. } = self.request;
        Ok(Reply::xml(
            "CompleteMultipartUploadResult",
            &format!(
                "<Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>{}</ETag>\
                 <ChecksumCRC64NVME>{sum}</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType>",
                object.etag
            ),
        ))
    }
}

fn full_checksum(reply: Reply, crc64nvme: u64) -> Reply {
    reply
        .with("x-amz-checksum-crc64nvme", crc_text(crc64nvme))
        .with("x-amz-checksum-type", "FULL_OBJECT")
}

/// `bytes=FIRST-LAST` or `bytes=FIRST-`, as start and length.
fn range(text: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let first: u64 = first.parse().ok().filter(|first| *first < size)?;
    let last = last.parse().unwrap_or(u64::MAX).min(size - 1);
    (first <= last).then(|| (first, last - first + 1))
}

/// The parts that Complete's XML names, with their ETags. No XML parser: every client writes these
/// two elements plainly, and what is not found makes the object wrong, which is seen.
fn named_parts(xml: &str) -> Vec<(u64, String)> {
    let element = |part: &str, name: &str| {
        let start = part.find(&format!("<{name}>"))? + name.len() + 2;
        let end = part[start..].find('<')?;
        Some(part[start..start + end].replace("&quot;", "\"").replace("&#34;", "\""))
    };
    let part = |part: &str| {
        let etag = element(part, "ETag")?;
        let etag = format!("\"{}\"", etag.trim_matches('"'));
        Some((element(part, "PartNumber")?.parse().ok()?, etag))
    };
    xml.split("<Part>").skip(1).filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_http_has_it() {
        assert_eq!(range("bytes=0-9", 100), Some((0, 10)));
        assert_eq!(range("bytes=90-", 100), Some((90, 10)));
        assert_eq!(range("bytes=90-200", 100), Some((90, 10)));
        assert_eq!(range("bytes=100-200", 100), None);
    }

    #[test]
    fn the_parts_of_complete_are_found_however_their_etags_are_quoted() {
        let xml = "<CompleteMultipartUpload><Part><ETag>&quot;a-1&quot;</ETag><PartNumber>1\
            </PartNumber></Part><Part><PartNumber>2</PartNumber><ETag>\"b-1\"</ETag></Part>\
            <Part><ETag>&#34;c-1&#34;</ETag><PartNumber>3</PartNumber></Part>";
        let expected = [(1, "\"a-1\""), (2, "\"b-1\""), (3, "\"c-1\"")];
        assert_eq!(named_parts(xml), expected.map(|(number, etag)| (number, etag.to_owned())));
    }
}
