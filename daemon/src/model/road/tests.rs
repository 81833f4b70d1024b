//! The road, step by step, and what must not be a step.

use super::*;
use crate::model::image::Device;
use crate::model::image::tests::image as example;
use crate::model::{
    Address, Change, Intent, Job, JobId, JobState, Lease, ObjectDigest, PartPlan, PinnedObject,
    Stage, Submission, TransferSpec, TransferState, Weight,
};

const NOW: Timestamp = Timestamp(1_000);

fn image(id: &str) -> Image {
    let mut image = example(id);
    image.tags.insert("aws:made".to_owned(), "x".to_owned());
    image
}

fn old() -> Image {
    image("ami-0123456789abcdef0")
}

fn new() -> Image {
    image("ami-0fedcba9876543210")
}

fn migrate() -> Job {
    let address: ImageAddress = "com:ami-0123456789abcdef0".parse().expect("legal");
    let landed: ObjectAddress = "gov:landing/ami-0123456789abcdef0.bin".parse().expect("legal");
    let store = StoreSpec {
        image: address,
        bucket: "via".to_owned(),
        reuse_stored: false,
        allow_decrypted: false,
        tags: Tags::new(),
    };
    let spec = TransferSpec::new(Address::Object(store.stored()), landed.clone());
    let restore = RestoreSpec {
        object: landed,
        name: None,
        tags: [("team".to_owned(), "gov".to_owned())].into(),
        copy_tags: true,
        alias: Some("/golden/web".to_owned()),
        deprecate_after: Some(3600),
        require_encryption: false,
        repair: false,
    };
    let spec_of_image = ImageSpec {
        store: Some(store),
        restore: Some(restore),
        clean_up_stored: true,
        clean_up_landed: false,
        retire_source: Some(Retire::Disable),
    };
    let submission = Submission::image(spec_of_image, Some(spec));
    let job = Job::submitted(JobId::from_parts(NOW, 1), submission, "uid:0".into(), NOW);
    let lease = Lease { owner: "here".into(), token: 1, expires_at: NOW };
    job.apply(Change::Claim(lease), NOW).expect("legal")
}

fn stored() -> ImageFact {
    let (etag, version_id) = ("e".to_owned(), None);
    ImageFact::Stored(StoredObject { size: 100, etag, version_id, reused: false })
}

fn available() -> ImageFact {
    let fidelity = Fidelity::of(&old(), &new());
    ImageFact::Available(Box::new(RestoredImage { image: new(), fidelity }))
}

fn carried(job: &Job) -> ImageFact {
    ImageFact::Carried(Box::new(Receipt::blank(job, NOW, "0.0.0")))
}

#[allow(clippy::needless_pass_by_value, reason = "a step in a fold")]
fn take(job: Job, fact: ImageFact) -> Job {
    job.apply(Change::Image(fact), NOW).expect("legal")
}

/// The facts of a whole migrate, each with the step that it ends.
fn road(job: &Job) -> Vec<(Step, ImageFact)> {
    vec![
        (Step::Describe, ImageFact::Described(Box::new(old()))),
        (Step::Store, ImageFact::StoreAsked { newest: None }),
        (Step::Store, stored()),
        (Step::Carry, carried(job)),
        (Step::Restore, ImageFact::RestoreAsked),
        (Step::Restore, ImageFact::Restoring(new().id)),
        (Step::Restore, available()),
        (Step::Alias, ImageFact::AliasAsked(AliasAsked { previous: None })),
        (Step::Alias, ImageFact::Aliased(3)),
        (Step::Chore(Chore::Deprecate), ImageFact::Done(Chore::Deprecate, String::new())),
        (Step::Chore(Chore::CleanUpStored), ImageFact::Done(Chore::CleanUpStored, String::new())),
        (Step::Chore(Chore::RetireSource), ImageFact::Done(Chore::RetireSource, String::new())),
    ]
}

/// The source image is touched last, and nothing is left out.
#[test]
fn a_migrate_goes_from_step_to_step_and_no_fact_is_taken_twice() {
    let mut job = migrate();
    for (step, fact) in road(&job) {
        assert_eq!(job.step(), Some(step), "before {}", fact.as_str());
        let once = take(job.clone(), fact.clone());
        let may_repeat = matches!(
            fact,
            ImageFact::Described(_)
                | ImageFact::StoreAsked { .. }
                | ImageFact::RestoreAsked
                | ImageFact::AliasAsked(_)
        );
        let twice = once.apply(Change::Image(fact.clone()), NOW);
        assert_eq!(twice.is_ok(), may_repeat, "{}", fact.as_str());
        job = once;
    }
    assert_eq!(job.step(), Some(Step::Done));
    assert_eq!(job.kind, crate::model::JobKind::Migrate);
}

/// EC2 has no client tokens: an image that was named is not asked for again, and nothing skips a step.
#[test]
fn no_fact_comes_before_the_ones_that_it_stands_on() {
    let job = migrate();
    let early = [
        ImageFact::StoreFailed,
        ImageFact::RestoreFailed,
        ImageFact::Restoring(new().id),
        available(),
        ImageFact::AliasAsked(AliasAsked { previous: None }),
        ImageFact::Aliased(1),
        ImageFact::RepairAsked(Box::new(new())),
    ];
    for fact in early {
        let name = fact.as_str();
        assert!(job.apply(Change::Image(fact), NOW).is_err(), "{name}");
    }
    let restoring = road(&job).into_iter().take(6).fold(job, |job, (_, fact)| take(job, fact));
    assert!(restoring.apply(Change::Image(ImageFact::RestoreAsked), NOW).is_err());
    let other = ImageFact::Restoring(old().id);
    assert!(restoring.apply(Change::Image(other), NOW).is_err(), "it has an image already");
}

/// Only after EC2 said that the task failed may it be asked once more.
#[test]
fn a_task_that_failed_is_asked_for_again() {
    let job = migrate();
    let asked = road(&job).into_iter().take(2).fold(job, |job, (_, fact)| take(job, fact));
    let failed = take(asked, ImageFact::StoreFailed);
    assert_eq!(failed.step(), Some(Step::Store));
    let progress = failed.image.as_ref().map(|image| image.progress.store_asked);
    assert_eq!(progress, Some(None));
    let job = migrate();
    let restoring = road(&job).into_iter().take(6).fold(job, |job, (_, fact)| take(job, fact));
    let failed = take(restoring, ImageFact::RestoreFailed);
    let again = take(take(failed, ImageFact::RestoreAsked), ImageFact::Restoring(new().id));
    assert_eq!(again.step(), Some(Step::Restore));
}

/// A repair has a second image of its own, once the first is written down to be replaced.
#[test]
fn a_repair_names_another_image() {
    let job = migrate();
    let restoring = road(&job).into_iter().take(6).fold(job, |job, (_, fact)| take(job, fact));
    let asked = take(restoring, ImageFact::RepairAsked(Box::new(new())));
    let repaired = take(asked, ImageFact::Restoring(old().id));
    assert_eq!(take(repaired, available()).step(), Some(Step::Alias));
}

#[test]
fn a_job_has_the_berth_and_the_stage_of_what_it_does() {
    let job = migrate();
    let seen: Vec<_> = road(&job)
        .into_iter()
        .scan(job, |job, (_, fact)| {
            let now = (job.weight(), job.stage());
            *job = take(job.clone(), fact);
            Some(now)
        })
        .collect();
    use Stage::{Aliasing, Planning, Restoring, Storing};
    let stages = [
        Storing, Storing, Storing, Planning, Restoring, Restoring, Restoring, Aliasing, Aliasing,
        Aliasing, Aliasing, Aliasing,
    ];
    assert_eq!(seen.iter().map(|(_, stage)| *stage).collect::<Vec<_>>(), stages);
    let weights = seen.iter().map(|(weight, _)| *weight);
    assert_eq!(weights.filter(|weight| *weight != Weight::Image).count(), 1, "while it carries");
}

/// What was carried is not carried again, whatever becomes of the job.
#[test]
fn a_cancelled_job_that_had_carried_goes_on_from_there() {
    let job = migrate();
    let stored = road(&job).into_iter().take(3).fold(job, |job, (_, fact)| take(job, fact));
    let source = PinnedObject::bare(100, "e");
    let plan = PartPlan::new(100, None, 64).expect("legal");
    let digest = ObjectDigest { blake3: [0; 32], crc64nvme: 0 };
    let plan = Change::Plan { source: Box::new(source), plan, warnings: vec![] };
    let sealing = [plan, Change::Seal(digest)]
        .into_iter()
        .fold(stored, |job, change| job.apply(change, NOW).expect("legal"));
    let begun_anew = sealing.apply(Change::Restart, NOW).expect("legal");
    assert_eq!(begun_anew.transfer, TransferState::Unplanned);
    let carried = take(sealing.clone(), carried(&sealing));
    let cancelled = [Change::Cancel, Change::Stop, Change::Retry]
        .into_iter()
        .fold(carried, |job, change| job.apply(change, NOW).expect("legal"));
    assert_eq!((cancelled.state, cancelled.intent), (JobState::Queued, Intent::Run));
    assert_eq!(cancelled.step(), Some(Step::Restore));
    assert_ne!(cancelled.transfer, TransferState::Unplanned);
}

#[test]
fn what_a_job_leaves_behind_is_told() {
    let job = migrate();
    let left = |facts: usize| {
        let job = road(&job).into_iter().take(facts).fold(job.clone(), |job, (_, f)| take(job, f));
        job.image.expect("an image job").leftovers().join("; ")
    };
    assert_eq!(left(1), "");
    assert!(left(2).contains("a store cannot be cancelled"), "{}", left(2));
    assert!(left(3).contains("com:via/ami-0123456789abcdef0.bin stays"), "{}", left(3));
    let landed = "the carried object gov:landing/ami-0123456789abcdef0.bin stays";
    assert!(left(4).ends_with(landed), "{}", left(4));
    let reading = format!("{landed}, and EC2 may still be reading it");
    assert!(left(5).contains(&reading) && left(6).contains(&reading), "{}", left(6));
    assert!(left(7).contains(landed) && !left(7).contains("reading"), "{}", left(7));
    assert!(left(5).contains("a restore cannot be cancelled"), "{}", left(5));
    assert!(left(6).contains("gov:ami-0fedcba9876543210 stays"), "{}", left(6));
    let whole = road(&job).into_iter().fold(job, |job, (_, fact)| take(job, fact));
    let cleaned = take(whole, ImageFact::Done(Chore::CleanUpLanded, String::new()));
    let left = cleaned.image.expect("an image job").leftovers().join("; ");
    assert!(!left.contains("the carried object"), "it is deleted: {left}");
    assert!(!left.contains("the stored object"), "it is deleted: {left}");
}

#[test]
fn an_alias_is_rolled_back_once_and_only_where_it_was_written() {
    let job = migrate();
    let refused = |job: &Job| job.apply(Change::RollBackAlias, NOW).is_err();
    assert!(refused(&job));
    let whole = road(&job).into_iter().fold(job, |job, (_, fact)| take(job, fact));
    assert!(refused(&whole), "it has not ended");
    let receipt = Box::new(Receipt::blank(&whole, NOW, "0.0.0"));
    let ended = whole.apply(Change::Succeed(receipt), NOW).expect("legal");
    let rolled_back = ended.apply(Change::RollBackAlias, NOW).expect("legal");
    assert!(refused(&rolled_back));
    let revisions = (ended.ended_revision, rolled_back.ended_revision);
    assert_eq!(revisions, (None, Some(ended.revision)), "what is told of the end goes by it");
}

#[test]
fn tags_are_copied_without_those_that_aws_keeps_and_under_those_asked_for() {
    let job = take(migrate(), ImageFact::Described(Box::new(old())));
    let image = job.image.expect("an image job");
    assert_eq!(image.name(), Some("golden"));
    assert_eq!(image.tags(), [("team".to_owned(), "gov".to_owned())].into());
}

#[test]
fn every_loss_is_a_difference_and_what_is_its_own_is_none() {
    let (source, mut restored) = (old(), new());
    assert_eq!(Fidelity::of(&source, &restored).differences, []);
    restored.traits.boot_mode = None;
    restored.description = None;
    restored.devices[0].volume.as_mut().expect("a volume").kind = Some("gp2".to_owned());
    restored.tags =
        [("team".to_owned(), "gov".to_owned()), ("own".to_owned(), "1".to_owned())].into();
    let extra = Device { name: "/dev/xvdb".to_owned(), ..Device::default() };
    restored.devices.push(extra);
    let fidelity = Fidelity::of(&source, &restored);
    let fields: Vec<_> = fidelity.differences.iter().map(|one| one.field.as_str()).collect();
    let expected = [
        "BootMode",
        "Description",
        "BlockDeviceMapping /dev/xvda",
        "BlockDeviceMapping /dev/xvdb",
        "Tag team",
    ];
    assert_eq!(fields, expected);
    assert!(fidelity.needs_repair());
    let kind = &fidelity.differences[2];
    assert_eq!((kind.source.as_str(), kind.restored.as_str()), ("8 GiB, gp3", "8 GiB, gp2"));
}

/// A ledger is read by later versions: what is written is read back, and what is absent is absent.
#[test]
fn an_image_job_is_read_back_as_it_was_written() {
    let job = migrate();
    let whole = road(&job).into_iter().fold(job, |job, (_, fact)| take(job, fact));
    let json = serde_json::to_string(&whole).expect("has JSON");
    assert_eq!(serde_json::from_str::<Job>(&json).expect("reads"), whole);
    let spec = TransferSpec::new(
        "com:bucket/key".parse().expect("legal"),
        "gov:bucket/key".parse().expect("legal"),
    );
    let transfer =
        Job::submitted(JobId::from_parts(NOW, 2), Submission::new(spec), "u".into(), NOW);
    let json = serde_json::to_string(&transfer).expect("has JSON");
    assert!(!json.contains("image"), "{json}");
}
