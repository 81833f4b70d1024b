//! What happened at an endpoint: calls, bytes, and a log of the latest calls, so that a test can also
//! claim what did not happen.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::lock::lock;

/// Calls kept in the log; older ones are only counted.
const LOG_MAX: usize = 100_000;

/// Counters and log of one endpoint, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// By S3's name of the operation.
    pub operations: BTreeMap<String, OperationStats>,
    /// TCP connections accepted.
    pub connections: u64,
    /// TCP connections open now.
    pub connections_open: u64,
    /// Faults that fired.
    pub faults_fired: u64,
    /// The latest calls, in the order they came.
    pub log: Vec<LoggedCall>,
}

/// Counters of one operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationStats {
    /// Calls begun.
    pub calls: u64,
    /// Calls answered with a status of 400 or more, or not at all.
    pub failures: u64,
    /// Bytes of request bodies, framing included.
    pub bytes_in: u64,
    /// Bytes of response bodies.
    pub bytes_out: u64,
    /// Calls being performed now, their response bodies not counted.
    pub in_flight: u64,
    /// The most calls that were being performed at once.
    pub in_flight_max: u64,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedCall {
    /// From 1, in the order the calls came.
    pub sequence: u64,
    /// Milliseconds since the endpoint started.
    pub at_ms: u64,
    /// S3's name of the operation.
    pub operation: String,
    /// Bucket; empty when there is none.
    pub bucket: String,
    /// Key; empty when there is none.
    pub key: String,
    /// Part number, when the call has one.
    pub part: Option<u32>,
    /// The Range header, when the call has one.
    pub range: Option<String>,
    /// HTTP status answered; absent while under way, and when the connection was dropped instead.
    pub status: Option<u16>,
}

impl Stats {
    /// Calls of `operation`.
    #[must_use]
    pub fn calls(&self, operation: &str) -> u64 {
        self.operations.get(operation).map_or(0, |stats| stats.calls)
    }

    /// Logged calls of `operation`.
    pub fn logged<'a>(&'a self, operation: &'a str) -> impl Iterator<Item = &'a LoggedCall> {
        self.log.iter().filter(move |call| call.operation == operation)
    }
}

/// Where an endpoint counts.
#[derive(Debug)]
pub(crate) struct Recorder {
    started: Instant,
    pub(crate) connections: AtomicU64,
    pub(crate) connections_open: AtomicU64,
    faults_fired: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    operations: BTreeMap<&'static str, Counters>,
    log: VecDeque<LoggedCall>,
    sequence: u64,
}

#[derive(Debug, Default)]
struct Counters {
    stats: OperationStats,
    bytes_in: Arc<AtomicU64>,
    bytes_out: Arc<AtomicU64>,
}

/// One call under way; it ends when this is dropped, also when the client went away.
#[derive(Debug)]
pub(crate) struct Ticket {
    recorder: Arc<Recorder>,
    operation: &'static str,
    sequence: u64,
    /// HTTP status; none when the connection was dropped instead of answering.
    pub(crate) status: Option<u16>,
    pub(crate) bytes_in: Arc<AtomicU64>,
    pub(crate) bytes_out: Arc<AtomicU64>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.recorder.end(self);
    }
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            connections: AtomicU64::new(0),
            connections_open: AtomicU64::new(0),
            faults_fired: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    pub(crate) fn begin(self: &Arc<Self>, call: &Call) -> Ticket {
        let at_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut state = lock(&self.state);
        state.sequence += 1;
        let sequence = state.sequence;
        if state.log.len() == LOG_MAX {
            state.log.pop_front();
        }
        state.log.push_back(LoggedCall {
            sequence,
            at_ms,
            operation: call.operation.to_owned(),
            bucket: call.bucket.clone(),
            key: call.key.clone(),
            part: call.part_number,
            range: call.range.clone(),
            status: None,
        });
        let counters = state.operations.entry(call.operation).or_default();
        counters.stats.calls += 1;
        counters.stats.in_flight += 1;
        counters.stats.in_flight_max = counters.stats.in_flight_max.max(counters.stats.in_flight);
        Ticket {
            recorder: Arc::clone(self),
            operation: call.operation,
            sequence,
            status: None,
            bytes_in: Arc::clone(&counters.bytes_in),
            bytes_out: Arc::clone(&counters.bytes_out),
        }
    }

    fn end(&self, ticket: &Ticket) {
        let mut state = lock(&self.state);
        if let Some(counters) = state.operations.get_mut(ticket.operation) {
            counters.stats.in_flight -= 1;
            if ticket.status.is_none_or(|status| status >= 400) {
                counters.stats.failures += 1;
            }
        }
        let found = state.log.binary_search_by_key(&ticket.sequence, |call| call.sequence);
        if let Ok(index) = found
            && let Some(call) = state.log.get_mut(index)
        {
            call.status = ticket.status;
        }
    }

    pub(crate) fn fired(&self, faults: usize) {
        self.faults_fired.fetch_add(faults as u64, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Stats {
        let state = lock(&self.state);
        let operations = state.operations.iter().map(|(name, counters)| {
            let stats = OperationStats {
                bytes_in: counters.bytes_in.load(Ordering::Relaxed),
                bytes_out: counters.bytes_out.load(Ordering::Relaxed),
                ..counters.stats.clone()
            };
            ((*name).to_owned(), stats)
        });
        Stats {
            operations: operations.collect(),
            connections: self.connections.load(Ordering::Relaxed),
            connections_open: self.connections_open.load(Ordering::Relaxed),
            faults_fired: self.faults_fired.load(Ordering::Relaxed),
            log: state.log.iter().cloned().collect(),
        }
    }
}
