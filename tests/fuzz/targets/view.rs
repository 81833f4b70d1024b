//! Feeds whatever the client shows with messages of any daemon: the commands themselves, each against a daemon
//! that answers with the input, and `top`'s model and view at any size.
//!
//! The first byte of an input chooses the command, or `top`; the second the form of the output. What follows
//! are messages, each with its length before it. For `top` they are a status, a list, a job with its parts,
//! and keys.
//!
//! What must hold:
//! - A command ends; what it prints is text in which nothing steers a terminal, and with `--output json` each
//!   line is JSON.
//! - A picture of `top` is drawn at any size, the same twice, and none of its cells steers a terminal; what is
//!   chosen is a job of the list.
#![no_main]
#![allow(
    dead_code,
    unused_imports,
    reason = "the command line is a program and no library: it is taken in as it is, and not all of it is used here"
)]

#[path = "../../../client/src/bin/causeway"]
mod program {
    pub mod cli;
    pub mod ends;
    pub mod follow;
    pub mod print;
    pub mod run;
    pub mod table;
}

/// The parts of the screen, without the command that needs a terminal.
#[path = "../../../client/src/bin/causeway/top"]
mod top {
    pub mod feed;
    pub mod filter;
    pub mod model;
    pub mod sort;
    pub mod theme;
    pub mod view;

    pub async fn top(
        _: &causeway::Client,
        _: &crate::print::Out,
        _: &crate::cli::Top,
    ) -> anyhow::Result<causeway::Exit> {
        anyhow::bail!("not a terminal")
    }
}

// They name each other from the root.
use program::{cli, ends, follow, print, run, table};

use std::cell::RefCell;
use std::convert::Infallible;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use causeway::v1;
use causeway_fuzz::cut::Cut;
use clap::Parser as _;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use http::{HeaderMap, Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;

use top::feed::{Parts, Picture};
use top::model::Model;
use top::theme::Theme;

const JOB: &str = "01JD3Z6W4Q8R5T7V9X0Y1A2B3C";
const TOP: u8 = 0xff;
const COMMANDS: [&[&str]; 24] = [
    &["jobs"],
    &["jobs", "--limit", "3"],
    &["show", JOB],
    &["receipt", JOB],
    &["status"],
    &["limits"],
    &["limits", "set", "com", "--read-bandwidth", "5MiB/s"],
    &["drain"],
    &["pause", JOB],
    &["resume", "--all"],
    &["cancel", JOB],
    &["retry", "--state", "failed"],
    &["reprioritize", "--priority", "7", JOB],
    &["watch", JOB],
    &["watch"],
    &["submit", "com:images/a.bin", "gov:vault/a.bin"],
    &["submit", "com:images/a.bin", "gov:vault/a.bin", "--dry-run"],
    &["submit", "com:images/a.bin", "gov:vault/a.bin", "--wait"],
    &["submit", "--recursive", "com:images/a/", "gov:vault/a/"],
    &["preflight", "com:images/a.bin", "gov:vault/a.bin"],
    &["alias", "rollback", JOB],
    &["store", "com:ami-0123456789abcdef0", "com:images/"],
    &["restore", "com:images/ami-0123456789abcdef0.bin"],
    &[
        "migrate",
        "com:ami-0123456789abcdef0",
        "gov",
        "--via",
        "com:images/",
        "--landing",
        "gov:vault/",
    ],
];
const MESSAGES_MAX: usize = 16;
/// A watch comes again as long as its jobs have not ended.
const PATIENCE: Duration = Duration::from_millis(60);

/// What the daemon says to any call: these messages, and this status.
type Said = Arc<Mutex<(Vec<Bytes>, u8)>>;

struct Scene {
    runtime: Runtime,
    said: Said,
    endpoint: String,
    /// Everything that is printed.
    printed: File,
    _dir: tempfile::TempDir,
}

thread_local! {
    static SCENE: RefCell<Option<Scene>> = const { RefCell::new(None) };
}

fuzz_target!(|data: &[u8]| {
    let mut input = Cut(data);
    let command = input.byte();
    if command == TOP {
        return draw(input);
    }
    SCENE.with_borrow_mut(|scene| scene.get_or_insert_with(Scene::new).run(command, input));
});

impl Scene {
    fn new() -> Self {
        let dir = causeway_fuzz::scratch();
        let socket = dir.path().join("control.sock");
        let endpoint = format!("unix:{}", socket.display());
        let (runtime, said) = (causeway_fuzz::runtime(), Said::default());
        let listener = {
            let _entered = runtime.enter();
            UnixListener::bind(&socket).expect("free")
        };
        runtime.spawn(serve(listener, Arc::clone(&said)));
        let printed = tempfile::tempfile_in(dir.path()).expect("room");
        let mut stdout = std::io::stdout();
        // From here on stdout is this file: libFuzzer itself writes to stderr.
        nix::unistd::dup2_stdout(&printed).expect("a descriptor");
        std::io::Write::flush(&mut stdout).expect("nothing was written");
        Self { runtime, said, endpoint, printed, _dir: dir }
    }

    fn run(&mut self, command: u8, mut input: Cut<'_>) {
        let how = input.byte();
        let output = if how & 1 == 0 { "table" } else { "json" };
        let messages = input.pieces(MESSAGES_MAX).into_iter().map(Bytes::copy_from_slice);
        let status = how >> 4;
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = (messages.collect(), status);
        let arguments = COMMANDS[usize::from(command) % COMMANDS.len()];
        let global =
            ["causeway", "--endpoint", &self.endpoint, "--output", output, "--color", "never"];
        let cli = cli::Cli::try_parse_from(global.iter().chain(arguments)).expect("arguments");
        let ended =
            self.runtime.block_on(async { tokio::time::timeout(PATIENCE, run::run(cli)).await });
        let text = self.take_printed();
        judge_text(&text);
        // A receipt is JSON in both forms, and then on many lines.
        if output == "json" {
            for line in text.lines() {
                serde_json::from_str::<serde_json::Value>(line).expect("JSON");
            }
        }
        if let Ok(Err(error)) = ended {
            let _ = format!("{error:#}");
        }
    }

    fn take_printed(&mut self) -> String {
        let mut text = Vec::new();
        self.printed.rewind().expect("a file");
        self.printed.read_to_end(&mut text).expect("a file");
        self.printed.set_len(0).expect("a file");
        self.printed.rewind().expect("a file");
        String::from_utf8(text).expect("text")
    }
}

fn judge_text(text: &str) {
    let steers = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains(steers), "it steers the terminal: {text:?}");
}

/// Any call gets the same answer, whatever it asks.
async fn serve(listener: UnixListener, said: Said) {
    while let Ok((stream, _)) = listener.accept().await {
        let said = Arc::clone(&said);
        let service = service_fn(move |_: Request<Incoming>| {
            let answer = answer(&said.lock().unwrap_or_else(PoisonError::into_inner));
            async move { Ok::<_, Infallible>(answer) }
        });
        tokio::spawn(async move {
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            // A client that goes away is no failure.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Frames = futures::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>;

fn answer((messages, status): &(Vec<Bytes>, u8)) -> Response<StreamBody<Frames>> {
    let data = messages.iter().map(|message| {
        let mut frame = BytesMut::with_capacity(message.len() + 5);
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len()).expect("short"));
        frame.put_slice(message);
        Frame::data(frame.freeze())
    });
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", u16::from(*status).into());
    let frames: Vec<_> = data.chain([Frame::trailers(trailers)]).map(Ok).collect();
    let body = StreamBody::new(futures::stream::iter(frames));
    let response = Response::builder().header("content-type", "application/grpc");
    response.body(body).expect("legal")
}

fn draw(mut input: Cut<'_>) {
    let area = Rect::new(0, 0, u16::from(input.byte()), u16::from(input.byte() % 80));
    let is_rich = input.byte() & 1 != 0;
    let theme = Theme { colour: is_rich, unicode: is_rich };
    let mut piece = || input.piece().unwrap_or_default();
    let status = v1::StatusResponse::decode(piece()).unwrap_or_default();
    let listed = v1::ListResponse::decode(piece()).unwrap_or_default();
    let got = v1::GetResponse::decode(piece()).unwrap_or_default();
    let keys = piece();
    let parts = got.job.map(|job| Parts { job, parts: got.parts });
    let more = !listed.next_page_token.is_empty();
    let picture = Picture { status, jobs: listed.jobs, more, parts, ..Picture::default() };

    let now = jiff::Timestamp::from_second(1_795_000_000).expect("legal");
    let mut model = Model::new(now, "");
    show(&mut model, theme, area);
    model.see(picture.clone());
    show(&mut model, theme, area);
    for key in keys.iter().take(40) {
        model.key(KeyEvent::new(code(*key), KeyModifiers::NONE));
        show(&mut model, theme, area);
    }
    model.tick(jiff::Timestamp::from_second(1_795_000_060).expect("legal"));
    model.see(picture);
    model.lose(String::from_utf8_lossy(keys).into_owned());
    show(&mut model, theme, area);
}

fn code(key: u8) -> KeyCode {
    let named = [
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::PageUp,
        KeyCode::PageDown,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Backspace,
        KeyCode::Tab,
    ];
    named.get(usize::from(key)).copied().unwrap_or(KeyCode::Char(char::from(key)))
}

fn show(model: &mut Model, theme: Theme, area: Rect) {
    model.rows = top::view::places(model, area).rows();
    let picture = |model: &Model| {
        let mut buffer = Buffer::empty(area);
        top::view::draw(model, theme, area, &mut buffer);
        buffer
    };
    let drawn = picture(model);
    assert_eq!(picture(model), drawn, "the same picture of the same model");
    drawn.content().iter().for_each(|cell| judge_text(&cell.symbol().replace('\n', "\u{1b}")));
    if let Some(at) = model.chosen_at() {
        assert!(at < model.jobs.len(), "what is chosen is a job of the list");
    }
}
