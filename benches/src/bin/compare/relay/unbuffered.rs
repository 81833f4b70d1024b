//! The floor on blocking threads: one thread for each pair of connections, rustls's unbuffered API,
//! reads of 256 KiB. A record is decrypted where it was read, hashed, and encrypted into the buffer
//! that is written.

use causewayd::integrity::PartHasher;

use super::Arguments;
use super::client::{Client, Endpoint};
use super::work::{Part, Work};

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let source = Endpoint::new(arguments.source, &arguments.source_ca, &arguments.source_key)?;
    let target = Endpoint::new(arguments.target, &arguments.target_ca, &arguments.target_key)?;
    let mut control = target.connect()?;
    let work = Work::begin(arguments, &mut control)?;
    std::thread::scope(|scope| {
        let relay = || relay(&source, &target, &work);
        let threads: Vec<_> = (0..arguments.connections).map(|_| scope.spawn(relay)).collect();
        let ends = threads.into_iter().map(|thread| match thread.join() {
            Ok(end) => end,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        ends.collect::<anyhow::Result<()>>()
    })?;
    work.complete(&mut control)
}

fn relay(source: &Endpoint, target: &Endpoint, work: &Work) -> anyhow::Result<()> {
    let (mut source, mut target) = (source.connect()?, target.connect()?);
    while let Some((index, part)) = work.take() {
        let mut hasher = PartHasher::new(part.object_size, part.range);
        let etag = carry(&mut source, &mut target, part, &mut hasher)?;
        work.finish(index, etag, hasher.finish()?);
    }
    Ok(())
}

/// Answers the part's ETag.
fn carry(
    source: &mut Client,
    target: &mut Client,
    part: &Part,
    hasher: &mut PartHasher,
) -> anyhow::Result<String> {
    target.begin("PUT", &part.target, "", part.range.len)?;
    source.begin("GET", &part.source, &format!("range: {}\r\n", part.range.header()), 0)?;
    let got = source.answer_into(|bytes| {
        hasher.update(bytes);
        target.write(bytes)
    })?;
    anyhow::ensure!(got.status == 206, "GET {} is answered with {}", part.source, got.status);
    let put = target.answer()?;
    anyhow::ensure!(put.status == 200, "PUT {} is answered with {}", part.target, put.text);
    Ok(put.etag)
}
