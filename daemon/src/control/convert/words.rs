//! The enumerations, word for word. No wildcard arm: whoever adds a word must decide here.

use causeway_proto::v1;

use super::Invalid;
use crate::model::{
    Encryption, IfExists, JobKind, JobState, Retire, Stage, TransferSpec, Verify, WaitReason,
};

/// The API's word for a state.
pub fn state(state: JobState) -> v1::JobState {
    match state {
        JobState::Queued => v1::JobState::Queued,
        JobState::Running => v1::JobState::Running,
        JobState::Paused => v1::JobState::Paused,
        JobState::Succeeded => v1::JobState::Succeeded,
        JobState::Failed => v1::JobState::Failed,
        JobState::Cancelled => v1::JobState::Cancelled,
    }
}

/// The state that a filter names.
pub fn state_asked(number: i32) -> Result<JobState, Invalid> {
    match v1::JobState::try_from(number) {
        Ok(v1::JobState::Queued) => Ok(JobState::Queued),
        Ok(v1::JobState::Running) => Ok(JobState::Running),
        Ok(v1::JobState::Paused) => Ok(JobState::Paused),
        Ok(v1::JobState::Succeeded) => Ok(JobState::Succeeded),
        Ok(v1::JobState::Failed) => Ok(JobState::Failed),
        Ok(v1::JobState::Cancelled) => Ok(JobState::Cancelled),
        Ok(v1::JobState::Unspecified) | Err(_) => Err(unknown("filter.states", number)),
    }
}

pub fn kind(kind: JobKind) -> v1::JobKind {
    match kind {
        JobKind::Transfer => v1::JobKind::Transfer,
        JobKind::Store => v1::JobKind::Store,
        JobKind::Restore => v1::JobKind::Restore,
        JobKind::Migrate => v1::JobKind::Migrate,
    }
}

/// The kind that a filter names.
pub fn kind_asked(number: i32) -> Result<JobKind, Invalid> {
    match v1::JobKind::try_from(number) {
        Ok(v1::JobKind::Transfer) => Ok(JobKind::Transfer),
        Ok(v1::JobKind::Store) => Ok(JobKind::Store),
        Ok(v1::JobKind::Restore) => Ok(JobKind::Restore),
        Ok(v1::JobKind::Migrate) => Ok(JobKind::Migrate),
        Ok(v1::JobKind::Unspecified) | Err(_) => Err(unknown("filter.kinds", number)),
    }
}

pub fn stage(stage: Stage) -> v1::Stage {
    match stage {
        Stage::Storing => v1::Stage::Storing,
        Stage::Planning => v1::Stage::Planning,
        Stage::Transferring => v1::Stage::Transferring,
        Stage::Sealing => v1::Stage::Sealing,
        Stage::Verifying => v1::Stage::Verifying,
        Stage::Restoring => v1::Stage::Restoring,
        Stage::Aliasing => v1::Stage::Aliasing,
    }
}

/// What is to become of the source image.
pub fn retire(retire: Option<Retire>) -> v1::RetireSource {
    match retire {
        None => v1::RetireSource::Unspecified,
        Some(Retire::Deprecate) => v1::RetireSource::Deprecate,
        Some(Retire::Disable) => v1::RetireSource::Disable,
        Some(Retire::Deregister) => v1::RetireSource::Deregister,
    }
}

/// What a request wants to become of the source image.
pub fn retire_asked(number: i32) -> Result<Option<Retire>, Invalid> {
    match v1::RetireSource::try_from(number) {
        Ok(v1::RetireSource::Unspecified) => Ok(None),
        Ok(v1::RetireSource::Deprecate) => Ok(Some(Retire::Deprecate)),
        Ok(v1::RetireSource::Disable) => Ok(Some(Retire::Disable)),
        Ok(v1::RetireSource::Deregister) => Ok(Some(Retire::Deregister)),
        Err(_) => Err(unknown("migrate.retire_source", number)),
    }
}

pub fn wait_reason(reason: WaitReason) -> v1::WaitReason {
    match reason {
        WaitReason::Rate => v1::WaitReason::Rate,
        WaitReason::Quota => v1::WaitReason::Quota,
        WaitReason::Credentials => v1::WaitReason::Credentials,
        WaitReason::Retry => v1::WaitReason::Retry,
        WaitReason::Schedule => v1::WaitReason::Schedule,
    }
}

pub fn verify(verify: Verify) -> v1::Verify {
    match verify {
        Verify::Auto => v1::Verify::Auto,
        Verify::Checksum => v1::Verify::Checksum,
        Verify::Readback => v1::Verify::Readback,
    }
}

/// The proof that a request asks for.
pub fn verify_asked(number: i32, default: Verify) -> Result<Verify, Invalid> {
    match v1::Verify::try_from(number) {
        Ok(v1::Verify::Unspecified) => Ok(default),
        Ok(v1::Verify::Auto) => Ok(Verify::Auto),
        Ok(v1::Verify::Checksum) => Ok(Verify::Checksum),
        Ok(v1::Verify::Readback) => Ok(Verify::Readback),
        Err(_) => Err(unknown("transfer.verify", number)),
    }
}

pub fn if_exists(if_exists: IfExists) -> v1::IfExists {
    match if_exists {
        IfExists::Fail => v1::IfExists::Fail,
        IfExists::Skip => v1::IfExists::Skip,
        IfExists::Replace => v1::IfExists::Replace,
    }
}

/// What a request wants where the target exists.
pub fn if_exists_asked(number: i32, default: IfExists) -> Result<IfExists, Invalid> {
    match v1::IfExists::try_from(number) {
        Ok(v1::IfExists::Unspecified) => Ok(default),
        Ok(v1::IfExists::Fail) => Ok(IfExists::Fail),
        Ok(v1::IfExists::Skip) => Ok(IfExists::Skip),
        Ok(v1::IfExists::Replace) => Ok(IfExists::Replace),
        Err(_) => Err(unknown("transfer.if_exists", number)),
    }
}

/// The API's two fields for the encryption of a specification.
pub fn encryption(spec: &TransferSpec) -> (v1::ServerSideEncryption, Option<String>) {
    use v1::ServerSideEncryption as Sse;
    match &spec.encryption {
        None => (Sse::Unspecified, None),
        Some(Encryption::Aes256) => (Sse::Aes256, None),
        Some(Encryption::Kms { key_id }) => (Sse::AwsKms, key_id.clone()),
        Some(Encryption::KmsDsse { key_id }) => (Sse::AwsKmsDsse, key_id.clone()),
    }
}

/// The encryption that a request asks for.
pub fn encryption_asked(
    number: i32,
    key_id: Option<String>,
) -> Result<Option<Encryption>, Invalid> {
    use v1::ServerSideEncryption as Sse;
    let without_key = match Sse::try_from(number) {
        Ok(Sse::AwsKms) => return Ok(Some(Encryption::Kms { key_id })),
        Ok(Sse::AwsKmsDsse) => return Ok(Some(Encryption::KmsDsse { key_id })),
        Ok(Sse::Unspecified) => None,
        Ok(Sse::Aes256) => Some(Encryption::Aes256),
        Err(_) => return Err(unknown("transfer.sse", number)),
    };
    match key_id {
        None => Ok(without_key),
        Some(_) => Err(Invalid::new(
            "transfer.sse_kms_key_id",
            "a key is given but the encryption is not KMS: \
             set sse to AWS_KMS or AWS_KMS_DSSE, or leave the key out",
        )),
    }
}

fn unknown(field: &'static str, number: i32) -> Invalid {
    Invalid::new(
        field,
        format_args!(
            "{number} is not a value that this daemon knows: \
             use one of the API's, or update the daemon"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_survives_the_api() {
        for known in JobState::ALL {
            assert_eq!(state_asked(state(known).into()), Ok(known));
        }
        for known in [JobKind::Transfer, JobKind::Store, JobKind::Restore, JobKind::Migrate] {
            assert_eq!(kind_asked(kind(known).into()), Ok(known));
        }
        for known in
            [None, Some(Retire::Deprecate), Some(Retire::Disable), Some(Retire::Deregister)]
        {
            assert_eq!(retire_asked(retire(known).into()), Ok(known));
        }
        for known in [Verify::Auto, Verify::Checksum, Verify::Readback] {
            assert_eq!(verify_asked(verify(known).into(), Verify::Auto), Ok(known));
        }
        for known in [IfExists::Fail, IfExists::Skip, IfExists::Replace] {
            assert_eq!(if_exists_asked(if_exists(known).into(), IfExists::Fail), Ok(known));
        }
    }

    #[test]
    fn what_is_not_said_is_the_configuration_s_and_what_is_not_known_is_refused() {
        assert_eq!(verify_asked(0, Verify::Readback), Ok(Verify::Readback));
        assert_eq!(if_exists_asked(0, IfExists::Skip), Ok(IfExists::Skip));
        assert_eq!(encryption_asked(0, None), Ok(None));
        for refused in [
            verify_asked(77, Verify::Auto).err(),
            if_exists_asked(77, IfExists::Fail).err(),
            encryption_asked(77, None).err(),
            state_asked(0).err(),
            kind_asked(9).err(),
        ] {
            let refused = refused.expect("not a word of the API").to_string();
            assert!(refused.contains("is not a value that this daemon knows"), "{refused}");
        }
    }

    #[test]
    fn a_kms_key_goes_with_kms_alone() {
        let key = || Some("alias/images".to_owned());
        let kms = v1::ServerSideEncryption::AwsKms.into();
        assert_eq!(encryption_asked(kms, key()), Ok(Some(Encryption::Kms { key_id: key() })));
        for number in [v1::ServerSideEncryption::Unspecified, v1::ServerSideEncryption::Aes256] {
            let refused = encryption_asked(number.into(), key()).expect_err("not KMS").to_string();
            assert!(refused.starts_with("transfer.sse_kms_key_id: "), "{refused}");
        }
    }
}
