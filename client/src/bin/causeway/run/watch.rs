//! `watch`: follows jobs until they end.

use causeway::v1::WatchRequest;
use causeway::{Client, Exit};

use crate::cli::{self, Watch};
use crate::follow::{self, Display, Events, Progress};
use crate::print::{self, Out};

pub async fn watch(client: &Client, out: &mut Out, arguments: &Watch) -> anyhow::Result<Exit> {
    let request = WatchRequest {
        job_ids: arguments.jobs.clone(),
        filter: (!arguments.labels.is_empty()).then(|| cli::filter(&[], &arguments.labels)),
        cursor: String::new(),
    };
    let display: &mut dyn Display =
        if out.is_json() { &mut Events::new(out) } else { &mut Progress::new(out) };
    let tally = follow::follow(client, request, display, &mut |_| Ok(())).await?;
    if tally.ended() == 0 && arguments.jobs.is_empty() {
        print::note("nothing to watch: no job runs or waits");
    } else if tally.ended() > 1 {
        print::note(tally);
    }
    Ok(tally.exit())
}
