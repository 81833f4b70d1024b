//! Faults on a script: 'fail the k-th GET of this key at byte n'. Exact, so that a test that failed
//! fails again.
//!
//! ```json
//! {"faults": [
//!   {"operation": "GetObject", "call": 3, "at_byte": 1000000, "action": "reset"},
//!   {"operation": "UploadPart", "part": 2, "count": 2, "action": {"status": "SlowDown"}},
//!   {"operation": "CompleteMultipartUpload", "call": 1, "action": "lose_answer"}
//! ]}
//! ```

pub(crate) mod body;

use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::lock::lock;

/// Faults, in the order they apply to one call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultScript {
    /// Each counts its own matching calls.
    pub faults: Vec<Fault>,
}

/// One fault: which calls it hits, and what it does to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// S3's name of the operation; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// A substring of the key; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The part number; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// The first matching call it hits, from 1; absent: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<u64>,
    /// How many matching calls it hits; absent: one when `call` is given, else every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// For faults within a body: after so many bytes of it.
    #[serde(default)]
    pub at_byte: u64,
    /// For faults within a body: which one.
    #[serde(default)]
    pub side: Side,
    /// What happens.
    pub action: Action,
}

/// Which bytes a fault within a body is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// What the client sends. For `flip_bit`: before checksums are verified, without the framing.
    Request,
    /// What the client gets.
    #[default]
    Response,
    /// What is kept: the answer and the checksums are those of the right bytes.
    Stored,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// TCP RST after `at_byte` bytes of the body.
    Reset,
    /// The connection ends after `at_byte` bytes of the body, short of the length promised.
    Truncate,
    /// Nothing moves for so many milliseconds after `at_byte` bytes of the body.
    StallMs(u64),
    /// One bit of the byte at `at_byte` is wrong.
    FlipBit,
    /// This error code instead of performing the call, e.g. `SlowDown`, `ExpiredToken`, `429`.
    Status(String),
    /// So many milliseconds before the call is performed.
    DelayMs(u64),
    /// 200 and this error code in the body, without performing the call.
    #[serde(rename = "error_in_200")]
    ErrorIn200(String),
    /// The call is performed and the connection dropped instead of answering.
    LoseAnswer,
    /// The connection is dropped without performing the call.
    LoseRequest,
}

impl Action {
    /// The error code to answer instead of performing the call, and whether in a 200.
    pub(crate) fn error(&self) -> Option<(&str, bool)> {
        match self {
            Self::Status(code) => Some((code, false)),
            Self::ErrorIn200(code) => Some((code, true)),
            Self::Reset
            | Self::Truncate
            | Self::StallMs(_)
            | Self::FlipBit
            | Self::DelayMs(_)
            | Self::LoseAnswer
            | Self::LoseRequest => None,
        }
    }
}

impl Fault {
    /// A fault of every call of `operation`, to be narrowed by the other methods.
    #[must_use]
    pub fn on(operation: impl Into<String>, action: Action) -> Self {
        Self {
            operation: Some(operation.into()),
            key: None,
            part: None,
            call: None,
            count: None,
            at_byte: 0,
            side: Side::default(),
            action,
        }
    }

    /// Only keys that contain `key`.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// Only this part number.
    #[must_use]
    pub fn part(self, number: u32) -> Self {
        Self { part: Some(number), ..self }
    }

    /// Only the `k`-th matching call, from 1, unless [`Fault::count`] says more.
    #[must_use]
    pub fn call(self, k: u64) -> Self {
        Self { call: Some(k), ..self }
    }

    /// Only so many matching calls.
    #[must_use]
    pub fn count(self, count: u64) -> Self {
        Self { count: Some(count), ..self }
    }

    /// After so many bytes of the body.
    #[must_use]
    pub fn at_byte(self, at_byte: u64) -> Self {
        Self { at_byte, ..self }
    }

    /// In this body.
    #[must_use]
    pub fn side(self, side: Side) -> Self {
        Self { side, ..self }
    }

    fn matches(&self, call: &Call) -> bool {
        self.operation.as_deref().is_none_or(|name| name == call.operation)
            && self.key.as_deref().is_none_or(|key| call.key.contains(key))
            && self.part.is_none_or(|part| call.part_number == Some(part))
    }
}

/// The faults in force, with the calls they have seen.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Mutex<Vec<Armed>>,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    matched: u64,
    fired: u64,
}

impl Faults {
    /// Replaces every fault; counting starts anew.
    pub(crate) fn set(&self, script: FaultScript) {
        lock(&self.armed).clear();
        self.add(script);
    }

    pub(crate) fn add(&self, script: FaultScript) {
        let armed = script.faults.into_iter().map(|fault| Armed { fault, matched: 0, fired: 0 });
        lock(&self.armed).extend(armed);
    }

    pub(crate) fn script(&self) -> FaultScript {
        FaultScript { faults: lock(&self.armed).iter().map(|armed| armed.fault.clone()).collect() }
    }

    /// Counts the call and answers the faults it is to suffer.
    pub(crate) fn due(&self, call: &Call) -> Vec<Fault> {
        let mut due = Vec::new();
        for armed in lock(&self.armed).iter_mut().filter(|armed| armed.fault.matches(call)) {
            armed.matched += 1;
            let unlimited = if armed.fault.call.is_some() { 1 } else { u64::MAX };
            let reached = armed.matched >= armed.fault.call.unwrap_or(1);
            if reached && armed.fired < armed.fault.count.unwrap_or(unlimited) {
                armed.fired += 1;
                due.push(armed.fault.clone());
            }
        }
        due
    }
}

/// What happens to the bytes of one call below HTTP's framing; travels in the request's extensions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tamper {
    pub(crate) flip_received: Option<u64>,
    pub(crate) flip_stored: Option<u64>,
    /// The body as it came over the wire, framing and all, for a server that stores that.
    pub(crate) raw: Option<std::sync::Arc<Mutex<Vec<u8>>>>,
}

impl Tamper {
    pub(crate) fn of(faults: &[Fault]) -> Self {
        let flip = |side| {
            let hit = |fault: &&Fault| fault.action == Action::FlipBit && fault.side == side;
            faults.iter().find(hit).map(|fault| fault.at_byte)
        };
        Self { flip_received: flip(Side::Request), flip_stored: flip(Side::Stored), raw: None }
    }
}

/// The events within one body, by the byte they wait for.
pub(crate) fn events(faults: &[Fault], side: Side) -> Vec<body::Event> {
    let mut events: Vec<body::Event> = faults
        .iter()
        .filter(|fault| fault.side == side)
        .filter_map(|fault| {
            let effect = match fault.action {
                Action::Reset => body::Effect::Reset,
                Action::Truncate => body::Effect::Close,
                Action::StallMs(ms) => body::Effect::Stall(Duration::from_millis(ms)),
                Action::FlipBit if side == Side::Response => body::Effect::Flip,
                Action::FlipBit
                | Action::Status(_)
                | Action::DelayMs(_)
                | Action::ErrorIn200(_)
                | Action::LoseAnswer
                | Action::LoseRequest => return None,
            };
            Some(body::Event { at: fault.at_byte, effect })
        })
        .collect();
    events.sort_by_key(|event| event.at);
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(operation: &'static str, part: u32) -> Call {
        Call {
            operation,
            bucket: "b".into(),
            key: "images/a.bin".into(),
            part_number: Some(part),
            range: None,
        }
    }

    fn fired(faults: &Faults, calls: &[Call]) -> Vec<usize> {
        calls.iter().map(|call| faults.due(call).len()).collect()
    }

    #[test]
    fn the_kth_matching_call_is_hit_and_no_other() {
        let faults = Faults::default();
        let fault = Fault::on("UploadPart", Action::Reset).part(2).key("a.b").call(2);
        faults.set(FaultScript { faults: vec![fault] });
        let calls = [2, 1, 2, 2].map(|part| call("UploadPart", part));
        assert_eq!(fired(&faults, &calls), [0, 0, 1, 0]);
        assert_eq!(fired(&faults, &[call("GetObject", 2)]), [0]);
    }

    #[test]
    fn a_count_without_a_call_hits_the_first_ones() {
        let faults = Faults::default();
        let fault = Fault::on("GetObject", Action::LoseAnswer).count(2);
        faults.set(FaultScript { faults: vec![fault] });
        assert_eq!(fired(&faults, &[1, 1, 1].map(|part| call("GetObject", part))), [1, 1, 0]);
    }

    #[test]
    fn a_script_reads_as_documented() {
        let json = r#"{"faults": [
            {"operation": "GetObject", "call": 3, "at_byte": 1000000, "action": "reset"},
            {"operation": "UploadPart", "part": 2, "count": 2, "action": {"status": "SlowDown"}},
            {"action": {"stall_ms": 5}, "side": "request"}
        ]}"#;
        let script: FaultScript = serde_json::from_str(json).unwrap();
        assert_eq!(script.faults[0].action, Action::Reset);
        assert_eq!(script.faults[1].action, Action::Status("SlowDown".into()));
        assert_eq!(script.faults[2].side, Side::Request);
        assert!(serde_json::from_str::<FaultScript>(r#"{"faults":[{"what":1}]}"#).is_err());
    }
}
