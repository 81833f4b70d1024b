//! Feeds the reader of the ledger's records (jobs, parts, uploads, keys, settings, the outbox, notices), once
//! with any bytes, and once with the same bytes as the payload of a whole record.
//!
//! What must hold:
//! - Any bytes are a record or refused.
//! - What could be read is written as what is read as the same.
//! - Of a job that could be read, webhooks and the audit log can be told, in JSON.
#![no_main]

use causewayd::ledger::trial::{self, Reread};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = trial::record(data);
    for bytes in [data, &whole] {
        for Reread { kind, record, again } in trial::records(bytes) {
            let again = again.unwrap_or_else(|| panic!("{kind}: what was written cannot be read"));
            assert_eq!(text(&record), text(&again), "{kind}: it is read as another");
        }
        let Some(told) = trial::told(bytes) else { continue };
        for text in told.expect("it can be told of") {
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
        }
    }
});

fn text(record: &[u8]) -> String {
    String::from_utf8_lossy(record.get(9..).unwrap_or_default()).into_owned()
}
