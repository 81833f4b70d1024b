//! One part, cut through: the body of a ranged GET is, frame by frame, hashed and handed on as the
//! body of UploadPart. Nothing waits for the whole part, so memory does not depend on its size.
//!
//! A write fault starts the part again with a fresh connection; the reader mends read faults itself.
//! A part much slower than its peers is treated likewise, by the side that is slow.

use std::sync::Arc;
use std::time::Instant;

use super::live::PartUnderWay;
use super::reader::{ReadError, Reader, Trace};
use super::retry::Budget;
use super::{Fault, Transfer};
use crate::base::{CrashPoint, Direction, Measure, Permit, Verdict, crash_point};
use crate::blob::{self, ListedPart, PartAck, PartError};
use crate::model::{
    ByteRange, Failure, FailureClass, PartDigest, PartFact, PartNumber, PinnedObject, Side,
    UploadId,
};

/// What the frames of one part may hold in memory on their way: the frame that was read, the one that
/// waits behind a limit, and what is encrypted and not sent yet.
pub const PART_MEMORY: u64 = 1 << 20;

/// One part to carry.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) source: Arc<PinnedObject>,
    pub(super) upload: UploadId,
    pub(super) number: PartNumber,
    pub(super) range: ByteRange,
    /// What the target has of it already and the ledger does not know.
    pub(super) found: Option<ListedPart>,
}

/// Why one try failed.
enum Miss {
    Read(ReadError),
    Write(blob::Error),
    /// The target took no byte, or gave no answer.
    Stalled(&'static str),
    /// The target takes this part much slower than the others.
    Outpaced,
    /// A side's schedule lets nothing pass any more.
    Closed,
    /// The target's checksum of the part is not ours.
    Corrupt {
        ours: u64,
        theirs: u64,
    },
    /// The body was short, or the hash of it was: a fault of ours.
    Internal(String),
}

impl Transfer {
    /// Carries one part until the ledger has it.
    pub(super) async fn carry(&self, work: Work, permit: Permit) -> Result<(), Fault> {
        let mut budget = Budget::default();
        let mut permit = Some(permit);
        if let Some(found) = &work.found
            && self.adopt(&work, found, &mut permit).await?
        {
            return Ok(());
        }
        let (mut attempts, mut bytes_sent) = (0, 0);
        let mut arrived = self.live.acknowledged();
        loop {
            if self.is_closed() {
                // Hours may pass: others need it.
                permit = None;
                self.open().await?;
            }
            let held = match permit.take() {
                Some(held) => held,
                None => self.stop.or_soon(self.seat.acquire()).await?,
            };
            let memory = self.stop.or_soon(self.memory.reserve(PART_MEMORY)).await?;
            attempts += 1;
            let (sent, result) = self.stop.or_now(self.attempt(&work, attempts)).await?;
            bytes_sent += sent;
            let miss = match result {
                Ok((digest, ack)) => {
                    crash_point(&self.observer, CrashPoint::PartAcknowledged).await;
                    let Work { number, range, .. } = work;
                    let fact = PartFact { number, etag: ack.etag, digest, attempts, bytes_sent };
                    self.record.part(fact).await?;
                    crash_point(&self.observer, CrashPoint::PartRecorded).await;
                    self.live.acknowledge(range.len);
                    return Ok(());
                }
                Err(miss) => miss,
            };
            held.conclude(miss.verdict());
            // Whoever waits for credentials holds nothing that others need.
            drop(memory);
            if matches!(miss, Miss::Closed) {
                continue;
            }
            let (side, failure) = self.tell(&miss, &work);
            let before = std::mem::replace(&mut arrived, self.live.acknowledged());
            if arrived != before {
                budget.restore();
            }
            match budget.spend(failure.class) {
                Some(pause) => self.pause(side, &failure, pause).await?,
                None => return Err(self.given_up(miss, side, failure, &work.upload).await),
            }
        }
    }

    /// What the part ends with when no try is left. Servers exist that break the connection off instead of
    /// saying that the upload is gone: it is asked for before the link is blamed.
    async fn given_up(&self, miss: Miss, side: Side, failure: Failure, upload: &UploadId) -> Fault {
        let broke_off = failure.class == FailureClass::Transient
            && matches!(miss, Miss::Write(_) | Miss::Stalled(_));
        if broke_off && self.target.habits().lists_parts {
            match self.stop.or_now(self.target.list_parts(upload)).await {
                Ok(Ok(None)) => return self.upload_is_gone(),
                // Without an answer nothing speaks against the link.
                Ok(Ok(Some(_)) | Err(_)) => {}
                Err(stopped) => return stopped,
            }
        }
        miss.into_fault(side, failure)
    }

    /// One try: the bytes that went out, and what came of them.
    async fn attempt(
        &self,
        work: &Work,
        attempt: u32,
    ) -> (u64, Result<(PartDigest, PartAck), Miss>) {
        let began = Instant::now();
        let under_way = self.live.part(work.number, attempt, work.range.len);
        let trace = Trace::new(work.source.size, work.range, under_way.counter());
        let reader = Reader::new(
            self,
            self.origin(Arc::clone(&work.source)),
            work.range,
            Some(Arc::clone(self.target.pace())),
            Arc::clone(&trace),
        );
        let _in_flight = self.in_flight();
        let upload =
            self.target.upload_part(&work.upload, work.number, reader.into_part(work.range.len));
        let answer = tokio::select! {
            answer = upload => answer.map_err(Miss::from),
            stalled = trace.pulse.stalled() => Err(Miss::Stalled(stalled)),
            () = outpaced_by_write(&under_way, &trace) => Err(Miss::Outpaced),
            () = self.closed_for_long() => Err(Miss::Closed),
        };
        let result = answer.and_then(|ack| agree(&trace, ack));
        match &result {
            Ok(_) => {
                under_way.arrived(work.range.len);
                self.observer.record(Measure::Part { elapsed: began.elapsed() });
            }
            // Which of the two sides noticed is the same to whoever has to look for the cause.
            Err(Miss::Corrupt { .. } | Miss::Write(blob::Error::Corrupt(_))) => {
                self.observer.record(Measure::VerificationFailure { stage: "part" });
            }
            Err(_) => {}
        }
        (trace.sent(), result)
    }

    /// Counts the part as in flight on both sides for as long as it lives.
    fn in_flight(&self) -> impl Drop + use<> {
        let observer = Arc::clone(&self.observer);
        let sides = [
            (self.source.name().to_owned(), Direction::Read),
            (self.target.name().to_owned(), Direction::Write),
        ];
        InFlight::new(observer, sides)
    }

    fn tell(&self, miss: &Miss, work: &Work) -> (Side, Failure) {
        let target = |class, reason: String, remedy: &str| {
            let resource = format!("{} part {}", self.target.address().resource(), work.number);
            let failure = Failure::new(class, reason, remedy)
                .on(Side::Target, self.target.name().parse().ok())
                .at("s3:PutObject", resource);
            (Side::Target, failure)
        };
        match miss {
            Miss::Read(error) => {
                (Side::Source, self.origin(Arc::clone(&work.source)).failure(error))
            }
            Miss::Write(error) => (Side::Target, error.to_failure(Side::Target)),
            Miss::Stalled(how) => target(
                FailureClass::Transient,
                format!("the target {how}"),
                "it is sent again; if it stays, check the link",
            ),
            Miss::Outpaced => target(
                FailureClass::Transient,
                "the target takes it much slower than the job's other parts".into(),
                "it is sent again on a fresh connection",
            ),
            Miss::Closed => target(
                FailureClass::Transient,
                "a side's schedule lets nothing pass".into(),
                "it goes on when the schedule does",
            ),
            Miss::Corrupt { ours, theirs } => target(
                FailureClass::Corrupt,
                format!("its CRC64NVME is {theirs:016x} there and {ours:016x} here"),
                "bytes change on the way: check this host and its network",
            ),
            Miss::Internal(reason) => {
                target(FailureClass::Transient, reason.clone(), "report this as a bug")
            }
        }
    }
}

/// Completes when the part is to start again because its write is slow. A slow read costs less: its
/// reader goes on from its byte on a fresh connection.
async fn outpaced_by_write(part: &PartUnderWay<'_>, trace: &Trace) {
    loop {
        part.outpaced().await;
        if !trace.pulse.mostly_reading() {
            return;
        }
        trace.reopen.notify_one();
    }
}

/// The part's digest, if the target's idea of it is ours.
fn agree(trace: &Trace, ack: PartAck) -> Result<(PartDigest, PartAck), Miss> {
    let digest = trace.digest().map_err(|error| Miss::Internal(error.to_string()))?;
    match ack.crc64nvme {
        Some(theirs) if theirs != digest.crc64nvme => {
            Err(Miss::Corrupt { ours: digest.crc64nvme, theirs })
        }
        _ => Ok((digest, ack)),
    }
}

impl From<PartError<ReadError>> for Miss {
    fn from(error: PartError<ReadError>) -> Self {
        match error {
            PartError::Body(error) => Self::Read(error),
            PartError::Target(error) => Self::Write(error),
            PartError::Length { .. } => Self::Internal(error.to_string()),
        }
    }
}

impl Miss {
    fn verdict(&self) -> Verdict {
        let slow = |error: &blob::Error| {
            matches!(error.class(), FailureClass::Throttled | FailureClass::Transient)
        };
        match self {
            Self::Read(ReadError::Source(error)) if slow(error) => {
                Verdict::Congested { write: false }
            }
            Self::Read(ReadError::Stalled) => Verdict::Congested { write: false },
            Self::Write(error) if slow(error) => Verdict::Congested { write: true },
            Self::Stalled(_) => Verdict::Congested { write: true },
            Self::Read(_)
            | Self::Write(_)
            | Self::Outpaced
            | Self::Closed
            | Self::Corrupt { .. }
            | Self::Internal(_) => Verdict::Unknown,
        }
    }

    fn into_fault(self, side: Side, failure: Failure) -> Fault {
        match self {
            Self::Read(error) => error.into_fault(side, failure),
            Self::Write(error) => Fault::of_request(&error, side),
            Self::Stalled(_)
            | Self::Outpaced
            | Self::Closed
            | Self::Corrupt { .. }
            | Self::Internal(_) => Fault::failed(failure),
        }
    }
}

/// See [`Transfer::in_flight`].
struct InFlight {
    observer: crate::base::SharedObserver,
    sides: [(String, Direction); 2],
}

impl InFlight {
    fn new(observer: crate::base::SharedObserver, sides: [(String, Direction); 2]) -> Self {
        let this = Self { observer, sides };
        this.change(1);
        this
    }

    fn change(&self, change: i64) {
        for (remote, direction) in &self.sides {
            let measure = Measure::PartsInFlight { remote, direction: *direction, change };
            self.observer.record(measure);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.change(-1);
    }
}

#[cfg(test)]
mod tests;
