//! The endpoints besides S3, behind one door: whoever enters is known by a signature, and each operation
//! can be forbidden.
//!
//! # Invariants
//! - Nothing is answered to a request whose signature does not hold, or is for another Region.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use http::request::Parts;
use http::{Response, StatusCode};
use jiff::Timestamp;
use s3s::Body;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{Command, Refused, Service};
use crate::clock::Clock;
use crate::credentials::{KeyRing, Standing};
use crate::ec2::{Ec2, Ec2Options};
use crate::lock::lock;
use crate::s3::Partition;
use crate::sigv4::{self, Authorization};
use crate::ssm::{Ssm, SsmOptions};
use crate::sts;

/// EC2, SSM and STS of one account and Region.
#[derive(Debug)]
pub(crate) struct Cloud {
    pub(crate) partition: Arc<Partition>,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) clock: Clock,
    pub(crate) ec2: Ec2,
    pub(crate) ssm: Ssm,
    /// Operations that nobody is permitted.
    denied: Mutex<BTreeSet<String>>,
    requests: AtomicU64,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) access_key_id: String,
    pub(crate) arn: String,
    pub(crate) user_id: String,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Denial {
    Unsigned,
    UnknownKey,
    WrongSignature,
    WrongRegion,
    WrongToken,
    ExpiredToken,
    Stale,
}

impl Cloud {
    pub(crate) fn new(
        partition: Arc<Partition>,
        keys: Arc<KeyRing>,
        (ec2, ssm): (Ec2Options, SsmOptions),
        ends: (CancellationToken, TaskTracker),
    ) -> Self {
        let clock = Clock::new();
        let ec2 = Ec2::new(Arc::clone(&partition), clock, ec2, ends);
        let arn_prefix = format!(
            "arn:{}:ssm:{}:{}:parameter/",
            partition.arn_partition(),
            partition.region,
            partition.account
        );
        Self {
            ssm: Ssm::new(ec2.clone(), clock, arn_prefix, ssm),
            ec2,
            partition,
            keys,
            clock,
            denied: Mutex::default(),
            requests: AtomicU64::new(0),
        }
    }

    /// Forbids exactly these operations from now on.
    pub(crate) fn deny(&self, operations: BTreeSet<String>) {
        *lock(&self.denied) = operations;
    }

    pub(crate) fn request_id(&self) -> String {
        let n = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("00000000-0000-4000-8000-{n:012x}")
    }

    pub(crate) async fn answer(
        &self,
        command: &Command,
        parts: &Parts,
        body: &[u8],
    ) -> Response<Body> {
        let (service, id) = (command.service, self.request_id());
        let answered = match self.caller(parts, body) {
            Err(denial) => Err(denial.refused(service)),
            Ok(caller) => self.permitted(command, &caller, &id).await,
        };
        match answered {
            Ok(body) => service.reply(StatusCode::OK, body, &id),
            Err(refused) => service.refuse(&refused, &id),
        }
    }

    async fn permitted(
        &self,
        command: &Command,
        caller: &Caller,
        id: &str,
    ) -> Result<Vec<u8>, Refused> {
        if lock(&self.denied).contains(command.operation) {
            return Err(forbidden(command, caller));
        }
        match command.service {
            Service::Sts => sts::answer(self, command, caller, id),
            Service::Ec2 => self.ec2.answer(command, id).await,
            Service::Ssm => self.ssm.answer(command),
        }
    }

    fn caller(&self, parts: &Parts, body: &[u8]) -> Result<Caller, Denial> {
        let authorization = Authorization::of(parts).ok_or(Denial::Unsigned)?;
        let token = parts.headers.get("x-amz-security-token").and_then(|v| v.to_str().ok());
        let known = match self.keys.standing(&authorization.access_key_id, token) {
            Standing::Unknown => return Err(Denial::UnknownKey),
            Standing::Expired => return Err(Denial::ExpiredToken),
            Standing::WrongToken => return Err(Denial::WrongToken),
            Standing::Good(known) => known,
        };
        if !authorization.is_signed_with(&known.secret, parts, body) {
            return Err(Denial::WrongSignature);
        }
        if authorization.region != self.partition.region {
            return Err(Denial::WrongRegion);
        }
        if !sigv4::is_fresh(parts, Timestamp::now()) {
            return Err(Denial::Stale);
        }
        let (partition, account) = (self.partition.arn_partition(), &self.partition.account);
        let user = || format!("arn:{partition}:iam::{account}:user/sandbox");
        Ok(Caller {
            arn: known.role.clone().unwrap_or_else(user),
            user_id: match &known.role {
                Some(role) => format!("AROASANDBOX:{}", role.rsplit('/').next().unwrap_or("")),
                None => "AIDASANDBOX".to_owned(),
            },
            access_key_id: authorization.access_key_id,
        })
    }
}

impl Denial {
    /// Each service has its own words for the same thing.
    ///
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>,
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>,
    /// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/CommonErrors.html>
    fn refused(self, service: Service) -> Refused {
        let (ec2, sts, ssm, message) = match self {
            Self::Unsigned => (
                "AuthFailure",
                "MissingAuthenticationToken",
                "MissingAuthenticationTokenException",
                "Request is missing Authentication Token",
            ),
            Self::UnknownKey | Self::WrongToken => (
                "AuthFailure",
                "InvalidClientTokenId",
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            ),
            Self::WrongSignature => (
                "AuthFailure",
                "SignatureDoesNotMatch",
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided.",
            ),
            Self::WrongRegion => (
                "AuthFailure",
                "SignatureDoesNotMatch",
                "InvalidSignatureException",
                "Credential should be scoped to a valid region.",
            ),
            Self::ExpiredToken => (
                "RequestExpired",
                "ExpiredToken",
                "ExpiredTokenException",
                "The security token included in the request is expired",
            ),
            Self::Stale => (
                "RequestExpired",
                "SignatureDoesNotMatch",
                "InvalidSignatureException",
                "Signature expired: the request was made too long ago.",
            ),
        };
        let code = match service {
            Service::Ec2 => ec2,
            Service::Sts => sts,
            Service::Ssm => ssm,
        };
        Refused::new(code, message)
    }
}

fn forbidden(command: &Command, caller: &Caller) -> Refused {
    let message = format!("{} is not authorized to perform: {}", caller.arn, command.operation);
    let code = match command.service {
        Service::Ec2 => "UnauthorizedOperation",
        Service::Sts => "AccessDenied",
        Service::Ssm => "AccessDeniedException",
    };
    Refused::new(code, message)
}

pub(crate) fn unknown(command: &Command) -> Refused {
    let message = format!("The action {} is not valid for this web service.", command.action);
    let code = match command.service {
        Service::Ec2 | Service::Sts => "InvalidAction",
        Service::Ssm => "UnknownOperationException",
    };
    Refused::new(code, message)
}

#[cfg(test)]
mod tests;
