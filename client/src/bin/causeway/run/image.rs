//! `store`, `restore`, `migrate` and `alias`: one image here, many over the stream of `many`.

use anyhow::bail;
use causeway::v1::{ImageRef, ListImagesRequest, MigrateSpec, SubmitRequest};
use causeway::{Client, Error, Exit, view};

use super::{many, submit};
use crate::cli::{AliasCommand, Course, Filter, Many, MigrateJob, Pair};
use crate::print::{self, Out, plain};
use crate::table;

pub async fn migrate(
    client: &Client,
    out: &mut Out,
    job: &MigrateJob,
    many: &Many,
    course: Course,
) -> anyhow::Result<Exit> {
    if let Some(path) = &many.manifest {
        return many::manifest(client, out, path, job.request(), course.wait).await;
    }
    if let Some(latest) = many.latest {
        return newest(client, out, job, &many.filters, latest, course).await;
    }
    let image = job.image.as_deref().unwrap_or_default();
    if image.ends_with(':') {
        bail!("`{image}` names no image: write `{image}ami-…`, or choose by --filter and --latest");
    }
    submit::one(client, out, job.request(), course).await
}

/// One migration for each of the newest images that match.
async fn newest(
    client: &Client,
    out: &mut Out,
    job: &MigrateJob,
    filters: &[Filter],
    latest: u32,
    course: Course,
) -> anyhow::Result<Exit> {
    let wanted = wanted(job, filters, latest)?;
    let remote = wanted.remote.clone();
    let images = client.images(wanted).await?;
    if images.is_empty() {
        let message = format!("no image of the account of `{remote}` matches the filters");
        return Err(Error::NotFound { message }.into());
    }
    if course.dry_run {
        return print_choice(out, &images);
    }
    if !out.is_json() {
        print::note(choice(&images).trim_end());
    }
    let requests = images.iter().map(|image| of_image(job.request(), image)).collect();
    many::each(client, out, requests, course.wait, "image").await
}

/// What the daemon is asked for, or what is wrong with the arguments together.
fn wanted(job: &MigrateJob, filters: &[Filter], latest: u32) -> anyhow::Result<ListImagesRequest> {
    let image = job.image.as_deref().unwrap_or_default();
    let Some(remote) = image.strip_suffix(':').filter(|remote| !remote.is_empty()) else {
        bail!("`{image}` is not a remote alone: with --filter write e.g. `com:`");
    };
    if latest > 1 && (job.restored.name.is_some() || job.restored.alias.is_some()) {
        bail!("--name and --alias are for one image: write --latest 1, or a manifest");
    }
    let mut wanted = ListImagesRequest { remote: remote.to_owned(), latest, ..Default::default() };
    for filter in filters {
        match filter {
            Filter::Name(name) if wanted.name.is_empty() => wanted.name.clone_from(name),
            Filter::Name(_) => bail!("--filter name= is there twice: all filters must match"),
            Filter::Tag(Pair { key, value }) => {
                if wanted.tags.insert(key.clone(), value.clone()).is_some() {
                    bail!("--filter tag:{key}= is there twice: all filters must match");
                }
            }
        }
    }
    Ok(wanted)
}

/// The job of one chosen image. As with a prefix, what it is of ends its idempotency key: a repeat then
/// takes only images that are new.
fn of_image(request: SubmitRequest, image: &ImageRef) -> SubmitRequest {
    let address = format!("{}:{}", image.remote, image.image_id);
    let migrate = request.migrate.map(|spec| MigrateSpec { image: address, ..spec });
    let idempotency_key = request.idempotency_key.map(|key| key + &image.image_id);
    SubmitRequest { migrate, idempotency_key, ..request }
}

fn print_choice(out: &mut Out, images: &[ImageRef]) -> anyhow::Result<Exit> {
    match out.is_json() {
        true => images.iter().try_for_each(|image| out.json(&view::Image::from(image)))?,
        false => out.write(&choice(images))?,
    }
    Ok(Exit::Done)
}

/// The images by the numbers that faults name them by.
fn choice(images: &[ImageRef]) -> String {
    let mut table = table::new(&["#", "IMAGE", "NAME", "SIZE", "CREATED"]);
    for (number, image) in (1..).zip(images) {
        let created = view::time(image.created_at.as_ref());
        table.add_row([
            table::cell(&u64::to_string(&number)),
            table::cell(&image.image_id),
            table::cell(&image.name),
            table::cell(&table::gib(image.size_gib)),
            table::cell(created.as_deref().unwrap_or("-")),
        ]);
    }
    table::keep_whole(&mut table, [0, 1]);
    table::text(&table)
}

pub async fn alias(client: &Client, out: &mut Out, command: &AliasCommand) -> anyhow::Result<Exit> {
    let AliasCommand::Rollback { job } = command;
    let alias = client.rollback_alias(job).await?;
    if out.is_json() {
        out.json(&view::AliasState::from(&alias))?;
    } else {
        let now = alias.previous.as_deref().unwrap_or("nothing");
        out.line(plain(&format!("{} names {now} again", alias.parameter)))?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn migration(arguments: &[&str]) -> (Box<MigrateJob>, Many) {
        let start = ["causeway", "migrate"];
        let end = ["--via", "v", "--landing", "l"];
        let arguments = start.iter().chain(arguments).chain(&end);
        match Cli::try_parse_from(arguments).expect("it parses").command {
            Command::Migrate { job, many, .. } => (job, many),
            other => panic!("{other:?}"),
        }
    }

    fn asked(arguments: &[&str]) -> anyhow::Result<ListImagesRequest> {
        let (job, many) = migration(arguments);
        wanted(&job, &many.filters, many.latest.expect("--latest"))
    }

    #[test]
    fn filters_become_one_question() {
        let filters = ["--filter", "name=golden-*", "--filter", "tag:team=we=b", "--latest", "3"];
        let wanted = asked(&[&["com:", "gov:"], &filters[..]].concat()).expect("good");
        assert_eq!((wanted.remote.as_str(), wanted.latest), ("com", 3));
        assert_eq!(wanted.name, "golden-*");
        assert_eq!(wanted.tags, [("team".to_owned(), "we=b".to_owned())].into());
    }

    #[test]
    fn what_does_not_fit_together_is_told_with_its_remedy() {
        let name = ["--filter", "name=a"];
        for (arguments, message) in [
            (vec!["com:ami-1", "gov:", "--latest", "1"], "`com:ami-1` is not a remote alone"),
            (vec![":", "gov:", "--latest", "1"], "write e.g. `com:`"),
            (vec!["com:", "gov:", "--latest", "2", "--name", "x"], "write --latest 1"),
            (vec!["com:", "gov:", "--latest", "2", "--alias", "/x"], "write --latest 1"),
            (vec!["com:", "gov:", "--latest", "1", "--filter", "name=b"], "name= is there twice"),
            (
                vec!["com:", "gov:", "--latest", "1", "--filter", "tag:a=1", "--filter", "tag:a=2"],
                "tag:a= is there twice",
            ),
        ] {
            let error = asked(&[&arguments[..], &name[..]].concat()).expect_err(message);
            assert!(error.to_string().contains(message), "{error}");
        }
        assert!(
            asked(&["com:", "gov:", "--latest", "1", "--alias", "/x", name[0], name[1]]).is_ok()
        );
    }

    #[test]
    fn each_chosen_image_has_a_key_of_its_own() {
        let (job, _) = migration(&[
            "com:",
            "gov:",
            "--filter",
            "name=a",
            "--latest",
            "2",
            "--idempotency-key",
            "nightly:",
        ]);
        let image =
            |id: &str| ImageRef { remote: "com".into(), image_id: id.into(), ..Default::default() };
        let request = of_image(job.request(), &image("ami-1"));
        assert_eq!(request.idempotency_key.as_deref(), Some("nightly:ami-1"));
        let spec = request.migrate.expect("a migration");
        assert_eq!((spec.image.as_str(), spec.target.as_str()), ("com:ami-1", "gov:"));
        assert_eq!((spec.via.as_str(), spec.landing.as_str()), ("v", "l"));
    }

    #[test]
    fn the_choice_is_a_table_with_the_numbers_that_faults_name() {
        let image = ImageRef {
            image_id: "ami-1".into(),
            name: "golden-1".into(),
            size_gib: 30,
            ..Default::default()
        };
        let text = choice(&[image, ImageRef::default()]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0].split_whitespace().collect::<Vec<_>>().join(" "),
            "# IMAGE NAME SIZE CREATED"
        );
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>().join(" "),
            "1 ami-1 golden-1 30 GiB -"
        );
        assert!(lines[2].starts_with('2'));
    }
}
