//! Feeds the control API's listener with any bytes instead of HTTP/2, or after its preface.
//!
//! The first byte of an input says how: with the preface and empty settings before, or without; with the end of
//! what is sent shown and the answer read, or hung up on. The rest is sent as it is.
//!
//! What must hold:
//! - What the listener answers begins with a frame of HTTP/2, or is nothing.
//! - A connection that was ended is ended by the listener too.
//! - It goes on answering others: every 16 inputs a client of its own asks for the status.
#![no_main]

use std::cell::RefCell;
use std::time::Duration;

use causeway_fuzz::cut::Cut;
use causeway_fuzz::world::World;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The listener's own settings come first, in a frame of this type.
const SETTINGS: u8 = 4;
const INPUTS_PER_CHECK: u32 = 16;
/// What was taken of the ledger and of memory is given back with the world.
const INPUTS_MAX: u32 = 20_000;

thread_local! {
    static WORLD: RefCell<Option<(World, u32)>> = const { RefCell::new(None) };
}

fuzz_target!(|data: &[u8]| {
    WORLD.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|(_, inputs)| *inputs >= INPUTS_MAX) {
            *slot = None;
            *slot = Some((World::new(), 0));
        }
        let (world, inputs) = slot.as_mut().expect("just made");
        *inputs += 1;
        world.runtime.block_on(send(world, Cut(data)));
        if inputs.is_multiple_of(INPUTS_PER_CHECK) {
            world.runtime.block_on(world.check());
        }
    });
});

async fn send(world: &World, mut input: Cut<'_>) {
    let how = input.byte();
    let mut stream = UnixStream::connect(&world.socket).await.expect("it listens");
    // It may end the connection before it has read all.
    let mut sent = true;
    if how & 1 != 0 {
        sent &= stream.write_all(PREFACE).await.is_ok();
    }
    if sent {
        sent &= stream.write_all(input.0).await.is_ok();
    }
    if how & 2 != 0 {
        return;
    }
    if sent {
        let _ = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(10), reading).await;
    // A reset is an end, too.
    let _ = read.expect("the listener ends what its client ended");
    if let Some(head) = answer.first_chunk::<9>() {
        let http1 = answer.starts_with(b"HTTP/1.");
        assert!(http1 || head[3] == SETTINGS, "{head:?} is no frame to begin with");
    }
}
