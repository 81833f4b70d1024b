//! Store, restore and migrate: from a request to a submission.

use causeway_proto::v1;

use super::super::{Invalid, quoted, words};
use super::{OBJECT_TAGS, address, queued, storage_class_of, tags};
use crate::control::engine::Defaults;
use crate::model::address::{NotAnAddress, check_bucket};
use crate::model::{
    Address, IfExists, ImageAddress, ImageSpec, LeftOpen, ObjectAddress, RemoteName, RestoreSpec,
    StoreSpec, Submission, TransferSpec,
};

/// EC2's limit on tags, less the one by which a job finds its image.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>
const IMAGE_TAGS: (&str, usize) = ("EC2", 49);
/// EC2's limits on names.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateRestoreImageTask.html>
const NAME_CHARS: std::ops::RangeInclusive<usize> = 3..=128;
const NAME_MARKS: &str = "()[] ./-'@_";
/// SSM's limit on the names of parameters.
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html>
const ALIAS_CHARS_MAX: usize = 1011;
/// EC2 deprecates within ten years.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html>
const DEPRECATE_AFTER_MAX: u64 = 10 * 365 * 24 * 3600;

/// Reads an image job; one of its kinds is there.
pub(super) fn submission(
    mut request: v1::SubmitRequest,
    defaults: Defaults,
) -> Result<Submission, Invalid> {
    let submission = match (request.store.take(), request.restore.take(), request.migrate.take()) {
        (Some(asked), _, _) => store(asked, defaults)?,
        (_, Some(asked), _) => restore(asked)?,
        (_, _, Some(asked)) => migrate(asked, defaults)?,
        (None, None, None) => return Err(Invalid::new("store", "it is absent")),
    };
    queued(submission, request)
}

fn store(asked: v1::StoreSpec, defaults: Defaults) -> Result<Submission, Invalid> {
    const TARGET: &str = "store.target";
    let image: ImageAddress = address("store.image", &asked.image)?;
    let target: ObjectAddress = address(TARGET, &asked.target)?;
    if target.remote != image.remote {
        let fault = format_args!(
            "it is at {}, and the image at {}: to carry it there, `causeway migrate` it, or submit \
             the stored object",
            target.remote, image.remote
        );
        return Err(Invalid::new(TARGET, fault));
    }
    if !target.is_prefix() {
        let fault = "it names a key, which EC2 chooses: end it with a slash";
        return Err(Invalid::new(TARGET, fault));
    }
    let bucket = match asked.via.is_empty() {
        true => target.bucket.clone(),
        false => bucket("store.via", asked.via)?,
    };
    let storage_class = asked.storage_class.map(|c| storage_class_of("store.storage_class", c));
    let storage_class = storage_class.transpose()?;
    let store = StoreSpec {
        image,
        bucket,
        reuse_stored: asked.reuse_stored,
        allow_decrypted: asked.allow_decrypted,
        tags: tags("store.tags", OBJECT_TAGS, asked.tags)?,
    };
    let landed = target.join(&store.image.image.stored_key());
    let landed = landed.map_err(|fault| Invalid::new(TARGET, fault))?;
    let is_carried = landed != store.stored();
    if storage_class.is_some() && !is_carried {
        let fault = "with a storage class the object is carried on from where EC2 writes it: name a \
                     prefix, or with `via` another bucket";
        return Err(Invalid::new("store.storage_class", fault));
    }
    let spec = is_carried
        .then(|| TransferSpec { storage_class, ..carried(store.stored(), landed, defaults) });
    let image = ImageSpec {
        store: Some(store),
        restore: None,
        clean_up_stored: is_carried,
        clean_up_landed: false,
        retire_source: None,
    };
    let left_open = LeftOpen { verify: is_carried, if_exists: is_carried };
    Ok(Submission { left_open, ..Submission::image(image, spec) })
}

fn restore(asked: v1::RestoreSpec) -> Result<Submission, Invalid> {
    const SOURCE: &str = "restore.source";
    let object: ObjectAddress = address(SOURCE, &asked.source)?;
    if object.is_prefix() {
        return Err(Invalid::new(SOURCE, "it is a prefix: name one stored object"));
    }
    let restore = restored("restore.restored", asked.restored.unwrap_or_default(), object)?;
    if restore.repair {
        let fault =
            "the image that was stored is not at hand to compare with: migrate it to repair it";
        return Err(Invalid::new("restore.restored.repair", fault));
    }
    let image = ImageSpec {
        store: None,
        restore: Some(restore),
        clean_up_stored: false,
        clean_up_landed: false,
        retire_source: None,
    };
    Ok(Submission::image(image, None))
}

fn migrate(asked: v1::MigrateSpec, defaults: Defaults) -> Result<Submission, Invalid> {
    let image: ImageAddress = address("migrate.image", &asked.image)?;
    let target = remote("migrate.target", &asked.target)?;
    if target == image.remote {
        let fault = format_args!("'{target}:' is where the image is: name another remote");
        return Err(Invalid::new("migrate.target", fault));
    }
    let store = StoreSpec {
        image,
        bucket: bucket("migrate.via", asked.via)?,
        reuse_stored: asked.reuse_stored,
        allow_decrypted: asked.allow_decrypted,
        tags: Default::default(),
    };
    let landing = bucket("migrate.landing", asked.landing)?;
    let key = store.image.image.stored_key();
    let landed = ObjectAddress { remote: target, bucket: landing, key };
    let spec = TransferSpec {
        // A run of before may have carried it.
        if_exists: IfExists::Skip,
        ..carried(store.stored(), landed.clone(), defaults)
    };
    let wanted = asked.restored.unwrap_or_default();
    let restore = restored("migrate.restored", wanted, landed)?;
    let image = ImageSpec {
        store: Some(store),
        restore: Some(RestoreSpec { copy_tags: asked.copy_tags, ..restore }),
        clean_up_stored: asked.clean_up_stored,
        clean_up_landed: asked.clean_up_landed,
        retire_source: words::retire_asked(asked.retire_source)?,
    };
    let left_open = LeftOpen { verify: true, if_exists: false };
    Ok(Submission { left_open, ..Submission::image(image, Some(spec)) })
}

fn carried(source: ObjectAddress, target: ObjectAddress, defaults: Defaults) -> TransferSpec {
    TransferSpec {
        verify: defaults.verify,
        if_exists: defaults.if_exists,
        ..TransferSpec::new(Address::Object(source), target)
    }
}

fn restored(
    field: &'static str,
    asked: v1::RestoredImage,
    object: ObjectAddress,
) -> Result<RestoreSpec, Invalid> {
    Ok(RestoreSpec {
        object,
        name: Some(asked.name).filter(|name| !name.is_empty()).map(name).transpose()?,
        tags: tags(field, IMAGE_TAGS, asked.tags)?,
        copy_tags: false,
        alias: Some(asked.alias).filter(|alias| !alias.is_empty()).map(alias).transpose()?,
        deprecate_after: asked.deprecate_after.map(deprecate_after).transpose()?,
        require_encryption: asked.require_encryption,
        repair: asked.repair,
    })
}

fn name(name: String) -> Result<String, Invalid> {
    let legal = |c: char| c.is_ascii_alphanumeric() || NAME_MARKS.contains(c);
    if NAME_CHARS.contains(&name.chars().count()) && name.chars().all(legal) {
        return Ok(name);
    }
    let fault = format_args!(
        "{} is not a name that EC2 takes: use 3 to 128 letters, digits and {NAME_MARKS}",
        quoted(&name)
    );
    Err(Invalid::new("restored.name", fault))
}

fn alias(alias: String) -> Result<String, Invalid> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "/_.-".contains(c);
    // A name with a slash has to begin with one.
    let is_path = !alias.contains('/') || alias.starts_with('/');
    if alias.len() <= ALIAS_CHARS_MAX && alias.chars().all(legal) && is_path {
        return Ok(alias);
    }
    let fault = format_args!(
        "{} is not a name of an SSM parameter: use letters, digits, '.', '-', '_', and '/' from the \
         beginning on, e.g. /golden/web",
        quoted(&alias)
    );
    Err(Invalid::new("restored.alias", fault))
}

fn deprecate_after(seconds: u64) -> Result<u64, Invalid> {
    if (60..=DEPRECATE_AFTER_MAX).contains(&seconds) {
        return Ok(seconds);
    }
    let fault =
        format_args!("{seconds} s is out of range: EC2 deprecates within 1 minute to 10 years");
    Err(Invalid::new("restored.deprecate_after", fault))
}

fn bucket(field: &'static str, bucket: String) -> Result<String, Invalid> {
    if bucket.is_empty() {
        return Err(Invalid::new(field, "it is empty: name a bucket"));
    }
    check_bucket(&bucket).map_err(|fault: NotAnAddress| Invalid::new(field, fault))?;
    Ok(bucket)
}

/// `REMOTE:`
fn remote(field: &'static str, text: &str) -> Result<RemoteName, Invalid> {
    let name = text.strip_suffix(':').ok_or_else(|| {
        Invalid::new(field, format_args!("{} is not a remote: expected REMOTE:", quoted(text)))
    })?;
    name.parse().map_err(|fault: NotAnAddress| Invalid::new(field, fault))
}

#[cfg(test)]
mod tests;
