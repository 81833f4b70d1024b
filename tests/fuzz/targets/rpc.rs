//! Feeds the control service with calls whose messages are any bytes, fields of megabytes among them, over a
//! connection to the real listener, in front of a real ledger.
//!
//! An input is up to eight calls: a byte that chooses the method, the number of messages in the next, and the
//! messages. The ids of two jobs that exist stand for two that are spelt out in the input.
//!
//! What must hold:
//! - Each call is answered with messages of the contract or a status, and none with a fault of the daemon's own
//!   (INTERNAL, UNKNOWN, DATA_LOSS).
//! - A job that was taken keeps every limit of the model, holds no secret, and is read from its own record as
//!   what it is.
#![no_main]

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use causeway_fuzz::cut::Cut;
use causeway_fuzz::wire::Raw;
use causeway_fuzz::world::{REMOTES, World};
use causeway_proto::v1;
use causewayd::ledger::trial;
use causewayd::model::plan::{PART_ALIGNMENT, PART_SIZE_MAX, PART_SIZE_MIN};
use causewayd::model::{Address, Job, JobId, JobKind, JobState};
use libfuzzer_sys::fuzz_target;
use prost::Message;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

const METHODS: [&str; 20] = [
    "Submit",
    "SubmitMany",
    "SubmitPrefix",
    "Get",
    "List",
    "Watch",
    "Pause",
    "Resume",
    "Cancel",
    "Retry",
    "Reprioritize",
    "GetLimits",
    "SetLimits",
    "GetReceipt",
    "RollbackAlias",
    "Preflight",
    "ListImages",
    "Status",
    "Drain",
    "ResetLimits",
];
/// What tonic says by itself, of a message that is no protobuf, and of a call without one.
const OF_TONIC: [&str; 2] = ["failed to decode", "Missing request message"];
const CALLS_MAX: usize = 8;
/// How long a watch is waited for once it says nothing.
const WATCHED: Duration = Duration::from_millis(3);
/// Answers that are read of one call.
const ANSWERS_MAX: usize = 64;
/// A world is left behind once it has taken so many inputs, so that neither memory nor the lists grow.
const INPUTS_MAX: u32 = 4_000;
/// One connection may ask 1,000 times a second: each of few inputs gets its own.
const INPUTS_PER_CONNECTION: u32 = 50;
/// What stands in an input for the job that was there first, and for the last that was taken.
const PLACES: [&[u8; 26]; 2] = [b"01JD3Z6W4Q8R5T7V9X0Y1A2B3C", b"01JD3Z6W4Q8R5T7V9X0Y1A2B3D"];

struct Trial {
    world: World,
    channel: Channel,
    jobs: [String; 2],
    inputs: u32,
}

thread_local! {
    static TRIAL: RefCell<Option<Trial>> = const { RefCell::new(None) };
}

fuzz_target!(|data: &[u8]| {
    TRIAL.with_borrow_mut(|trial| {
        if trial.as_ref().is_none_or(|trial| trial.inputs >= INPUTS_MAX) {
            *trial = None;
            *trial = Some(Trial::new());
        }
        trial.as_mut().expect("just made").run(Cut(data));
    });
});

impl Trial {
    fn new() -> Self {
        let world = World::new();
        let channel = world.runtime.block_on(world.channel());
        let mut trial = Self { world, channel, jobs: Default::default(), inputs: 0 };
        let transfer = v1::TransferSpec {
            source: "com:images/a.bin".to_owned(),
            target: "gov:vault/a.bin".to_owned(),
            ..Default::default()
        };
        let asked = v1::SubmitRequest { transfer: Some(transfer), ..Default::default() };
        let answers = trial.call("Submit", vec![asked.encode_to_vec().into()]);
        let id = trial.taken(&answers.expect("legal")[0]).expect("a job");
        trial.jobs = [id.clone(), id];
        trial
    }

    fn run(&mut self, mut input: Cut<'_>) {
        self.inputs += 1;
        if self.inputs.is_multiple_of(INPUTS_PER_CONNECTION) {
            self.channel = self.world.runtime.block_on(self.world.channel());
        }
        for _ in 0..CALLS_MAX {
            if input.0.is_empty() {
                break;
            }
            let choice = input.byte();
            let method = METHODS[usize::from(choice & 0x7f) % METHODS.len()];
            let count = 1 + usize::from(input.byte() % 16);
            let messages = input.pieces(count).into_iter();
            let messages = messages.map(|bytes| self.placed(bytes));
            let messages = messages.map(|bytes| match choice & 0x80 {
                0 => bytes.into(),
                _ => huge(&bytes).into(),
            });
            let messages = messages.collect();
            match self.call(method, messages) {
                Ok(answers) => self.judge(method, &answers),
                Err(status) => judge_status(method, &status),
            }
        }
        // What comes next is to be taken, too.
        let undo = v1::DrainRequest { undo: true }.encode_to_vec();
        self.call("Drain", vec![undo.into()]).expect("the drain is over");
    }

    /// The message with the ids of jobs that exist, which are as long as those that stand for them.
    fn placed(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for (place, id) in PLACES.iter().zip(&self.jobs) {
            while let Some(at) = bytes.windows(26).position(|text| text == *place) {
                bytes[at..at + 26].copy_from_slice(id.as_bytes());
            }
        }
        bytes
    }

    /// Every method is asked as if it streamed both ways: on the wire that is no difference.
    fn call(&self, method: &'static str, messages: Vec<Bytes>) -> Result<Vec<Bytes>, Status> {
        let asked = self.ask(method, messages);
        let answered = async { tokio::time::timeout(Duration::from_secs(15), asked).await };
        self.world.runtime.block_on(answered).unwrap_or_else(|_| panic!("{method} is not answered"))
    }

    async fn ask(&self, method: &'static str, messages: Vec<Bytes>) -> Result<Vec<Bytes>, Status> {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.map_err(|error| Status::internal(error.to_string()))?;
        let path = format!("/causeway.v1.Control/{method}").parse().expect("a path");
        let request = Request::new(tokio_stream::iter(messages));
        let mut stream = client.streaming(request, path, Raw).await?.into_inner();
        let mut answers = Vec::new();
        while answers.len() < ANSWERS_MAX {
            let next = match method {
                // It ends with the jobs, which here nobody runs.
                "Watch" => match tokio::time::timeout(WATCHED, stream.message()).await {
                    Ok(next) => next?,
                    Err(_) => break,
                },
                _ => stream.message().await?,
            };
            let Some(answer) = next else { break };
            answers.push(answer);
        }
        Ok(answers)
    }

    fn judge(&mut self, method: &str, answers: &[Bytes]) {
        for answer in answers {
            match method {
                "Submit" => {
                    if let Some(id) = self.taken(answer) {
                        self.jobs[1] = id;
                    }
                }
                "SubmitMany" | "SubmitPrefix" => {
                    let answer = decoded::<v1::SubmitManyResponse>(answer);
                    match answer.outcome.expect("an outcome") {
                        v1::submit_many_response::Outcome::Accepted(taken) => {
                            self.judge_taken(&taken)
                        }
                        v1::submit_many_response::Outcome::Refused(fault) => {
                            judge_status(method, &Status::new(fault.code.into(), fault.message));
                        }
                    }
                }
                "Get" => {
                    let got = decoded::<v1::GetResponse>(answer);
                    self.judge_job(&got.job.expect("a job"));
                }
                "List" => {
                    let listed = decoded::<v1::ListResponse>(answer);
                    assert!(listed.jobs.len() <= 1000, "a page is bounded");
                }
                "Watch" => drop(decoded::<v1::WatchEvent>(answer)),
                "Status" => drop(decoded::<v1::StatusResponse>(answer)),
                _ => {}
            }
        }
    }

    fn taken(&self, answer: &Bytes) -> Option<String> {
        let taken = decoded::<v1::SubmitResponse>(answer);
        self.judge_taken(&taken);
        taken.job.map(|job| job.id)
    }

    fn judge_taken(&self, taken: &v1::SubmitResponse) {
        assert!(taken.job.is_some() != taken.plan.is_some(), "a job, or what it would do");
        if let Some(job) = &taken.job {
            self.judge_job(job);
        }
    }

    fn judge_job(&self, shown: &v1::Job) {
        let id: JobId = shown.id.parse().expect("an id");
        let job = self.world.ledger.get(id).expect("what is shown is there");
        assert_legal(&job);
    }
}

/// A message of one field that is as long as it says: 1 byte to 8 MiB of the rest.
fn huge(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = Cut(bytes);
    let (field, exponent) = (bytes.byte(), bytes.byte() % 24);
    let filler = if bytes.0.is_empty() { b"a" } else { bytes.0 };
    let mut content = filler.repeat((1_usize << exponent).div_ceil(filler.len()));
    content.truncate(1 << exponent);
    let mut message = vec![field & !7 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut message);
    message.extend(content);
    message
}

fn decoded<M: Message + Default>(answer: &Bytes) -> M {
    M::decode(answer.clone()).expect("an answer is a message of the contract")
}

fn judge_status(method: &str, status: &Status) {
    let ours = match status.code() {
        Code::Internal => !OF_TONIC.iter().any(|text| status.message().contains(text)),
        Code::Unknown | Code::DataLoss | Code::Ok => true,
        _ => false,
    };
    assert!(!ours, "{method}: {status}");
    assert!(
        status.message().len() < 64 << 10,
        "{method}: a status fits the headers that it goes in"
    );
}

/// Every limit that a submission has to keep.
fn assert_legal(job: &Job) {
    assert!((-100..=100).contains(&job.priority), "{job:?}");
    assert!(job.labels.len() <= 16 && job.notify.len() <= 16, "{job:?}");
    assert!(
        job.labels.iter().all(|(key, value)| (1..=63).contains(&key.len()) && value.len() <= 255)
    );
    assert!(
        job.idempotency_key.as_ref().is_none_or(|key| (1..=128).contains(&key.len())),
        "{job:?}"
    );
    assert!(job.spec.is_some() || job.image.is_some(), "a job is about something");
    assert_eq!(job.kind == JobKind::Transfer, job.image.is_none(), "{job:?}");
    assert_ne!(job.state, JobState::Running, "nobody runs it");
    if let Some(spec) = &job.spec {
        assert!(!spec.target.is_prefix(), "{job:?}");
        assert!(REMOTES.contains(&spec.target.remote.as_str()), "{job:?}");
        assert_eq!(spec.target.to_string().parse().as_ref(), Ok(&spec.target));
        assert!(spec.tags.len() <= 10, "{job:?}");
        assert!(spec.part_size.is_none_or(|size| {
            (PART_SIZE_MIN..=PART_SIZE_MAX).contains(&size) && size.is_multiple_of(PART_ALIGNMENT)
        }));
        match &spec.source {
            Address::Object(source) => assert!(!source.is_prefix() && *source != spec.target),
            Address::Presigned(url) => assert_eq!(url.secret(), None, "it is kept apart"),
        }
    }
    let json = serde_json::to_vec(job).expect("JSON");
    let read: Job = serde_json::from_slice(&json).expect("its own JSON");
    assert_eq!(read, *job, "a restart reads what was taken");
    trial::told(&trial::record(&json)).expect("a job").expect("it can be told of");
}
