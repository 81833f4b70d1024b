//! What goes wrong around the daemon: faults of requests, and other people.
//!
//! Every fault is of one key, so that every failure can be held against what happened to its own job.

use anyhow::{Context as _, Result};
use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use sandbox::{Action, Attributes, Endpoint, Fault, Side, Synthetic};

use super::SeedRun;
use crate::tally::Tally;

const MIB: u64 = 1 << 20;
const READS: [&str; 2] = ["GetObject", "HeadObject"];
const WRITES: [&str; 9] = [
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "PutObject",
    "HeadObject",
    "GetObject",
    "ListParts",
    "ListMultipartUploads",
    "AbortMultipartUpload",
];
/// Of one job: each fires twice at most, and a request is tried eleven times.
const PASSING_MAX: u32 = 4;
const FLIPS_MAX: u32 = 2;
const VANISHED_MAX: u32 = 2;

impl<'a> SeedRun<'a> {
    /// Adds a fault of one job's requests to one side.
    pub(super) fn fault(&mut self) {
        let number = self.rng.random_range(0..self.cases.len());
        let at_source = self.rng.random_bool(0.4);
        let operations = if at_source { &READS[..] } else { &WRITES[..] };
        let operation = operations.choose(&mut self.rng).copied().unwrap_or("GetObject");
        let in_body = match operation {
            "GetObject" => Some(Side::Response),
            "UploadPart" | "PutObject" => Some(Side::Request),
            _ => None,
        };
        let action = self.action(operation, in_body.is_some());
        let flips = action == Action::FlipBit;
        let met = &mut self.cases[number].met;
        let (count, max) =
            if flips { (&mut met.flips, FLIPS_MAX) } else { (&mut met.passing, PASSING_MAX) };
        // What is at the target is wrong for good where only its reading was: nobody retries that.
        if *count == max || (flips && operation == "GetObject" && !at_source) {
            return;
        }
        *count += 1;
        let fault = Fault::on(operation, action)
            .key(&*self.cases[number].key)
            .call(self.rng.random_range(1..4))
            .count(self.rng.random_range(1..3))
            .at_byte(self.rng.random_range(0..6 * MIB))
            .side(in_body.unwrap_or_default());
        let endpoint = if at_source { self.commercial } else { self.gov };
        endpoint.add_faults([fault]);
        Tally::add(&self.tally.faults, 1);
    }

    fn action(&mut self, operation: &str, has_body: bool) -> Action {
        match self.rng.random_range(0..9) {
            0 if has_body => Action::Reset,
            1 if has_body => Action::Truncate,
            2 if has_body => Action::FlipBit,
            3 => Action::LoseRequest,
            4 | 5 => Action::LoseAnswer,
            6 => Action::Status("SlowDown".into()),
            7 if operation == "CompleteMultipartUpload" => {
                Action::ErrorIn200("InternalError".into())
            }
            8 => Action::DelayMs(self.rng.random_range(1..100)),
            _ => Action::Status("InternalError".into()),
        }
    }

    /// Somebody writes over a source, or deletes it.
    pub(super) fn change_source(&mut self) -> Result<()> {
        let number = self.rng.random_range(0..self.cases.len());
        let deletes = self.rng.random_bool(0.3);
        let (key, size) = {
            let case = &mut self.cases[number];
            case.met.source_changed = true;
            case.source_gone = deletes;
            (case.key.clone(), case.versions.last().context("it was something")?.size())
        };
        Tally::add(&self.tally.sources_changed, 1);
        if deletes {
            self.commercial.remove("images", &key);
            return Ok(());
        }
        let size = if self.rng.random_bool(0.5) { size } else { size + 70_000 };
        self.put_source(number, size)
    }

    /// Puts another object where the source is, or was.
    pub(super) fn put_source(&mut self, number: usize, size: u64) -> Result<()> {
        let object = Synthetic::new(self.rng.random(), size);
        let case = &mut self.cases[number];
        case.source_gone = false;
        case.versions.push(object.clone());
        let put = self.commercial.put("images", &case.key, object, Attributes::default());
        self.cloud.block_on(put)?;
        Ok(())
    }

    /// Somebody aborts an upload at the target.
    pub(super) fn vanish(&mut self) {
        let uploads = self.gov.uploads();
        let Some(upload) = uploads.choose(&mut self.rng) else { return };
        let Some(case) = self.cases.iter_mut().find(|case| case.key == upload.key) else { return };
        if case.met.vanished < VANISHED_MAX {
            case.met.vanished += 1;
            self.gov.abort_upload(&upload.upload_id);
            Tally::add(&self.tally.uploads_vanished, 1);
        }
    }

    /// The credentials of one side expire, once a seed; the next time, they are renewed.
    pub(super) fn expire_or_restore(&mut self) -> Result<()> {
        if self.expired.is_some() {
            return self.restore();
        }
        // Workers ask again every ten seconds: that costs the run its time.
        if !self.may_expire || !self.rng.random_bool(0.3) {
            return Ok(());
        }
        self.may_expire = false;
        let endpoint: &'a Endpoint = if self.rng.random() { self.commercial } else { self.gov };
        endpoint.expire_credentials(&endpoint.credentials().access_key_id);
        self.expired = Some(endpoint);
        Tally::add(&self.tally.credentials_expired, 1);
        Ok(())
    }

    /// The credentials work again. Perhaps somebody restarts the daemon for it, which is not needed.
    pub(super) fn restore(&mut self) -> Result<()> {
        let Some(endpoint) = self.expired.take() else { return Ok(()) };
        endpoint.add_credentials(endpoint.credentials().clone());
        if self.rng.random_bool(0.6) { self.restart() } else { Ok(()) }
    }
}
