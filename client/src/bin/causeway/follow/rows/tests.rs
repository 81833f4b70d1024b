//! What people see of jobs under way.

use causeway::v1::{ImageProgress, MigrateSpec, Progress, TransferSpec, WaitReason};
use causeway::watch::Event;
use prost_types::Timestamp;

use super::*;

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

fn stage(
    stage: Stage,
    span: (Option<Timestamp>, Option<Timestamp>),
    percent: u32,
) -> StageProgress {
    StageProgress { stage: stage.into(), started_at: span.0, finished_at: span.1, percent }
}

/// Storing is done, the object is on its way.
fn migration(id: &str) -> Job {
    let stages = vec![
        stage(Stage::Storing, (at(0), at(252)), 100),
        stage(Stage::Transferring, (at(252), None), 0),
        stage(Stage::Restoring, (None, None), 0),
        stage(Stage::Aliasing, (None, None), 0),
    ];
    let spec =
        MigrateSpec { image: "com:ami-1".into(), target: "gov:".into(), ..Default::default() };
    Job {
        id: id.into(),
        kind: causeway::v1::JobKind::Migrate.into(),
        state: JobState::Running.into(),
        stage: Stage::Transferring.into(),
        migrate: Some(spec),
        image: Some(ImageProgress { stages, ..Default::default() }),
        ..Default::default()
    }
}

fn transfer(id: &str, state: JobState) -> Job {
    let spec = TransferSpec { source: format!("com:b/{id}.bin"), ..Default::default() };
    Job { id: id.into(), state: state.into(), transfer: Some(spec), ..Default::default() }
}

fn tracker(jobs: impl IntoIterator<Item = Job>) -> Tracker {
    let mut tracker = Tracker::new(&[]);
    for job in jobs {
        tracker.apply(&Event::Job(Box::new(job)));
    }
    tracker
}

fn with(mut tracker: Tracker, progress: Progress) -> Tracker {
    tracker.apply(&Event::Progress(Box::new(progress)));
    tracker
}

/// `label|bar|text`, a row a line.
fn text(rows: &[Row]) -> Vec<String> {
    let row = |row: &Row| {
        let bar = row.fill.map(|fill| format!("{}/{}", fill.done, fill.total));
        format!("{}|{}|{}", row.label, bar.unwrap_or_default(), row.text)
    };
    rows.iter().map(row).collect()
}

fn looks(rows: &[Row]) -> Vec<Look> {
    rows.iter().map(|row| row.look).collect()
}

#[test]
fn a_migration_has_a_row_a_stage_below_its_heading() {
    let progress = Progress {
        job_id: "01J".into(),
        stage: Stage::Transferring.into(),
        bytes_done: 1 << 30,
        bytes_total: Some(4 << 30),
        bytes_per_second: 100 << 20,
        eta_seconds: Some(30),
        ..Default::default()
    };
    let rows = screen(&with(tracker([migration("01J")]), progress), 12);
    assert_eq!(
        text(&rows),
        [
            "com:ami-1||migrate to gov:",
            "storing||4m 12s",
            "transferring|1073741824/4294967296|100 MiB/s  ETA 30s  1.00 GiB of 4.00 GiB",
            "restoring||",
            "aliasing||",
        ]
    );
    let expected = [Look::Job, Look::StageDone, Look::Stage, Look::StageAhead, Look::StageAhead];
    assert_eq!(looks(&rows), expected);
}

/// Planning, sealing and verifying are steps of carrying: their row is the transfer's.
#[test]
fn the_steps_of_carrying_are_told_in_the_transfers_row() {
    let mut job = migration("01J");
    job.stage = Stage::Verifying.into();
    let rows = screen(&tracker([job]), 12);
    assert_eq!(text(&rows)[2], "transferring||verifying");
    assert_eq!(rows[2].look, Look::Stage);
}

#[test]
fn ec2s_stages_go_by_its_percent_and_say_what_they_wait_for() {
    let mut job = migration("01J");
    job.stage = Stage::Restoring.into();
    let image = job.image.get_or_insert_default();
    image.stages[1].finished_at = at(300);
    image.stages[2].started_at = at(300);
    let progress = Progress {
        job_id: "01J".into(),
        stage: Stage::Restoring.into(),
        wait_reason: WaitReason::Quota.into(),
        wait_detail: "600 GB in progress".into(),
        stage_percent: Some(7),
        ..Default::default()
    };
    let rows = screen(&with(tracker([job]), progress), 12);
    assert_eq!(text(&rows)[2], "transferring||48s");
    assert_eq!(text(&rows)[3], "restoring|7/100|(waits: quota, 600 GB in progress)");
}

#[test]
fn a_paused_migration_says_so_in_its_heading() {
    let mut job = migration("01J");
    job.state = JobState::Paused.into();
    job.stage = Stage::Unspecified.into();
    let rows = screen(&tracker([job]), 12);
    assert_eq!(text(&rows)[0], "com:ami-1||migrate to gov:  paused");
    assert_eq!(rows[2].look, Look::Stage, "begun, and to go on");
}

#[test]
fn running_jobs_come_first_and_those_without_a_row_are_counted() {
    let waiting = (0..20).map(|number| transfer(&format!("a{number:02}"), JobState::Queued));
    let rows = screen(&tracker(waiting.chain([transfer("z", JobState::Running)])), 12);
    assert_eq!(rows.len(), 13);
    assert_eq!(rows[0].label, "z.bin");
    assert_eq!(rows[12].text, "and 9 more");
}

#[test]
fn many_migrations_have_a_row_each_and_the_first_its_stages() {
    let rows = screen(&tracker((0..30).map(|number| migration(&format!("{number:02}")))), 12);
    assert_eq!(rows.len(), 13);
    assert_eq!(rows[1].label, "storing");
    assert!(looks(&rows[5..12]).iter().all(|look| *look == Look::Job), "{rows:?}");
    assert_eq!(rows[12].text, "and 22 more");
    let rows = screen(&tracker([migration("a"), migration("b")]), 12);
    assert_eq!(rows.len(), 10, "two fit in full");
}

#[test]
fn jobs_of_one_source_are_told_apart_by_the_ends_of_their_ids() {
    let twins = ["01K7Z3M8Q4T5V6W7X8Y9Z0A1B2", "01K7Z3M8Q4T5V6W7X8Y9Z0A1B3"].map(migration);
    let rows = screen(&tracker(twins.into_iter().chain([transfer("a", JobState::Running)])), 20);
    let of_jobs = rows.iter().filter(|row| row.look == Look::Job);
    let labels: Vec<&str> = of_jobs.map(|row| row.label.as_str()).collect();
    assert_eq!(labels, ["com:ami-1 Y9Z0A1B2", "com:ami-1 Y9Z0A1B3", "a.bin"]);
}

#[test]
fn a_transfer_is_one_row_as_it_was() {
    let mut job = transfer("a", JobState::Running);
    job.stage = Stage::Transferring.into();
    (job.bytes_done, job.bytes_total) = (1 << 30, Some(4 << 30));
    let rows = screen(&tracker([job]), 12);
    assert_eq!(text(&rows), ["a.bin|1073741824/4294967296|transferring  1.00 GiB of 4.00 GiB"]);
}
