//! What the endpoints besides S3 have in common: which of them a request is for, what it asks, and how
//! each says no.
//!
//! One listener serves all: the service is told by the credential scope of the signature, as AWS's own
//! front ends check it. EC2 and STS speak the Query protocol, SSM JSON 1.1.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use s3s::Body;
use serde_json::{Value, json};

use crate::call::Call;
use crate::query::{self, Form};
use crate::sigv4::Authorization;

/// One of the endpoints besides S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Ec2,
    Ssm,
    Sts,
}

impl Service {
    /// None: it is a request for S3.
    pub(crate) fn of(parts: &Parts) -> Option<Self> {
        if let Some(authorization) = Authorization::of(parts) {
            return match authorization.service.as_str() {
                "ec2" => Some(Self::Ec2),
                "ssm" => Some(Self::Ssm),
                "sts" => Some(Self::Sts),
                _ => None,
            };
        }
        // Nobody signed it: it is refused, but in the words of the service that it is meant for.
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let is_form = header("content-type")
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        match (header("x-amz-target"), parts.uri.path()) {
            (Some(target), _) if target.starts_with("AmazonSSM.") => Some(Self::Ssm),
            (None, "/") if parts.method == Method::POST && is_form => Some(Self::Ec2),
            _ => None,
        }
    }

    /// An answer that says no.
    pub(crate) fn refuse(self, refused: &Refused, request_id: &str) -> Response<Body> {
        let (status, body) = match self {
            Self::Ec2 => query::ec2_error(refused, request_id),
            Self::Sts => query::sts_error(refused, request_id),
            Self::Ssm => {
                let body = json!({ "__type": refused.code, "message": refused.message });
                (refused.status, body.to_string().into_bytes())
            }
        };
        self.reply(status, body, request_id)
    }

    /// An answer with the service's content type.
    pub(crate) fn reply(
        self,
        status: StatusCode,
        body: Vec<u8>,
        request_id: &str,
    ) -> Response<Body> {
        let kind = match self {
            Self::Ec2 | Self::Sts => "text/xml;charset=UTF-8",
            Self::Ssm => "application/x-amz-json-1.1",
        };
        let mut answer = Response::new(Body::from(Bytes::from(body)));
        *answer.status_mut() = status;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            answer.headers_mut().insert("x-amzn-requestid", id);
        }
        answer
    }
}

/// A request that is refused, with the service's own code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) status: StatusCode,
}

impl Refused {
    /// With the HTTP status that AWS answers along with this code.
    pub(crate) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let code = code.into();
        let status = match code.as_str() {
            "AuthFailure" => StatusCode::UNAUTHORIZED,
            "UnauthorizedOperation"
            | "InvalidClientTokenId"
            | "SignatureDoesNotMatch"
            | "MissingAuthenticationToken"
            | "ExpiredToken"
            | "AccessDenied" => StatusCode::FORBIDDEN,
            "DryRunOperation" => StatusCode::PRECONDITION_FAILED,
            "RequestLimitExceeded" | "Unavailable" | "ServiceUnavailable" => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            "InternalError" | "InternalFailure" | "InternalServerError" => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            _ => StatusCode::BAD_REQUEST,
        };
        Self { code, message: message.into(), status }
    }

    /// What a script says: a code of AWS, or a bare status such as `503`.
    pub(crate) fn scripted(code: &str) -> Self {
        let message = "the script says so";
        match code.parse::<u16>().ok().and_then(|n| StatusCode::from_u16(n).ok()) {
            Some(status) => {
                let code = status.canonical_reason().unwrap_or("Unknown").replace(' ', "");
                Self { code, message: message.to_owned(), status }
            }
            None => Self::new(code, message),
        }
    }
}

/// The operations that are known here; all that is counted and scripted has one of these names.
const OPERATIONS: [&str; 25] = [
    "CreateStoreImageTask",
    "DescribeStoreImageTasks",
    "CreateRestoreImageTask",
    "DescribeImages",
    "DescribeSnapshots",
    "CreateTags",
    "DescribeTags",
    "DescribeImageAttribute",
    "EnableImageDeprecation",
    "DisableImageDeprecation",
    "DisableImage",
    "EnableImage",
    "DeregisterImage",
    "DeleteSnapshot",
    "RegisterImage",
    "GetEbsEncryptionByDefault",
    "GetEbsDefaultKmsKeyId",
    "PutParameter",
    "GetParameter",
    "GetParameters",
    "GetParameterHistory",
    "DeleteParameter",
    "GetCallerIdentity",
    "AssumeRole",
    "Unknown",
];

/// What one request asks for.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) service: Service,
    /// AWS's name of the operation; `Unknown` for one that is not offered here.
    pub(crate) operation: &'static str,
    /// What the request called it.
    pub(crate) action: String,
    /// EC2's and STS's parameters.
    pub(crate) form: Form,
    /// SSM's.
    pub(crate) json: Value,
}

impl Command {
    pub(crate) fn read(service: Service, parts: &Parts, body: &[u8]) -> Self {
        let (mut form, mut json) = (Form::default(), Value::Null);
        let action = match service {
            Service::Ec2 | Service::Sts => {
                let query = parts.uri.query().unwrap_or_default();
                form = Form::parse(&format!("{query}&{}", String::from_utf8_lossy(body)));
                form.get("Action").unwrap_or_default().to_owned()
            }
            Service::Ssm => {
                json = serde_json::from_slice(body).unwrap_or_default();
                let target = parts.headers.get("x-amz-target").and_then(|v| v.to_str().ok());
                let action = target.and_then(|target| target.strip_prefix("AmazonSSM."));
                action.unwrap_or_default().to_owned()
            }
        };
        let known = OPERATIONS.iter().find(|name| **name == action);
        let operation = known.copied().unwrap_or("Unknown");
        Self { service, operation, action, form, json }
    }

    /// For counters and scripts: the bucket it names, and as its key the resource that it is about.
    pub(crate) fn call(&self) -> Call {
        let parameters =
            ["ObjectKey", "ImageId", "ImageId.1", "SnapshotId", "ResourceId.1", "Name", "RoleArn"];
        let mut named = parameters.iter().filter_map(|name| self.form.get(name));
        let name = self.json.get("Name").and_then(Value::as_str);
        Call {
            operation: self.operation,
            bucket: self.form.get("Bucket").unwrap_or_default().to_owned(),
            key: named.next().or(name).unwrap_or_default().to_owned(),
            part_number: None,
            range: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method("POST").uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn signed(service: &str) -> Parts {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AK/20250101/us-east-2/{service}/aws4_request, \
             SignedHeaders=host, Signature=0"
        );
        parts(&[("authorization", &authorization)])
    }

    #[test]
    fn the_scope_of_the_signature_tells_the_service() {
        assert_eq!(Service::of(&signed("ec2")), Some(Service::Ec2));
        assert_eq!(Service::of(&signed("ssm")), Some(Service::Ssm));
        assert_eq!(Service::of(&signed("sts")), Some(Service::Sts));
        assert_eq!(Service::of(&signed("s3")), None);
        let target = parts(&[("x-amz-target", "AmazonSSM.GetParameter")]);
        assert_eq!(Service::of(&target), Some(Service::Ssm));
        assert_eq!(Service::of(&parts(&[])), None);
    }

    #[test]
    fn a_call_is_known_by_what_it_is_about() {
        let body = b"Action=CreateStoreImageTask&Bucket=images&ImageId=ami-1";
        let call = Command::read(Service::Ec2, &parts(&[]), body).call();
        assert_eq!((call.operation, call.bucket.as_str()), ("CreateStoreImageTask", "images"));
        assert_eq!(call.key, "ami-1");
        let ssm = parts(&[("x-amz-target", "AmazonSSM.GetParameter")]);
        let call = Command::read(Service::Ssm, &ssm, br#"{"Name":"/golden"}"#).call();
        assert_eq!((call.operation, call.key.as_str()), ("GetParameter", "/golden"));
        let unknown = Command::read(Service::Ec2, &parts(&[]), b"Action=RunInstances");
        assert_eq!((unknown.operation, unknown.action.as_str()), ("Unknown", "RunInstances"));
    }

    #[test]
    fn a_script_names_a_code_or_a_status() {
        assert_eq!(Refused::scripted("RequestLimitExceeded").status, 503);
        assert_eq!(Refused::scripted("429").code, "TooManyRequests");
    }
}
