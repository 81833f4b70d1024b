//! Who a remote is, and what time it has.

use super::report::{Halted, Report};
use crate::model::FailureClass;
use crate::remote::{self, Remote, remedy};

/// S3 and EC2 refuse what is signed 15 minutes off, or 5, by service; a clock that drifts gets there.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html> (RequestTimeTooSkewed),
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>
const SKEW_FATAL_MILLIS: u64 = 5 * 60 * 1000;
const SKEW_DOUBTFUL_MILLIS: u64 = 60 * 1000;

/// Asks STS who this is.
pub(super) async fn identity(report: &mut Report, remote: &Remote) -> Result<(), Halted> {
    const NAME: &str = "identity";
    let asked = tokio::time::timeout_at(report.until(), remote.check_identity()).await;
    let Ok(answer) = asked else {
        report.failed(NAME, "STS does not answer", remedy::UNANSWERED);
        return Err(Halted);
    };
    let error = match answer {
        Ok(found) => {
            let account = found.account.unwrap_or_default();
            match found.arn {
                Some(arn) => {
                    let partition = remote.partition();
                    report.passed(NAME, format!("{arn}, account {account}, partition {partition}"));
                }
                None => report.skipped(
                    NAME,
                    "nobody is asked: the remote has an s3_endpoint of its own and no sts_endpoint",
                    "",
                ),
            }
            return Ok(());
        }
        Err(error) => error,
    };
    let is_barred = remote.barred().is_some();
    let remedy = match &error {
        remote::Error::WrongAccount { .. } | remote::Error::WrongPartition { .. } => {
            remedy::WRONG_IDENTITY
        }
        remote::Error::Credentials { .. } => {
            "renew the remote's credentials, and see that they belong to its own partition"
        }
        remote::Error::Unreached { .. } => "let STS be reached: see the remote's sts_endpoint",
        remote::Error::UnknownPartition { .. } | remote::Error::CaBundle { .. } => {
            "mend the configuration, and restart the daemon"
        }
    };
    if is_barred || error.class() == FailureClass::Credentials {
        report.failed(NAME, error.to_string(), remedy);
        return Err(Halted);
    }
    // Where no account is expected, a job does not wait for STS.
    report.warning(NAME, error.to_string(), remedy);
    Ok(())
}

/// This machine's clock beside the remote's, as its answers told.
pub(super) fn clock(report: &mut Report, remote: &Remote) {
    judge(report, remote.clock_ahead_millis());
}

pub(super) fn judge(report: &mut Report, ahead: Option<i64>) {
    const NAME: &str = "clock";
    let Some(ahead) = ahead else {
        report.skipped(NAME, "no answer told the time", "");
        return;
    };
    let (off, where_to) = (ahead.unsigned_abs(), if ahead < 0 { "behind" } else { "ahead of" });
    let detail = format!("this machine's clock is {} s {where_to} the remote's", off / 1000);
    let remedy =
        "synchronise this machine's clock, by chrony or the like: requests are signed by it";
    match off {
        SKEW_FATAL_MILLIS.. => report.failed(NAME, detail, remedy),
        SKEW_DOUBTFUL_MILLIS.. => report.warning(NAME, detail, remedy),
        // An answer tells whole seconds, and took its time.
        0..2000 => report.passed(NAME, "this machine's clock and the remote's are alike"),
        _ => report.passed(NAME, detail),
    }
}
