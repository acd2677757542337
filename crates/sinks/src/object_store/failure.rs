//! What a store's errors mean.

use ::object_store::Error;

use crate::Failure;

/// What a failed call means. What this store never does stays so; a bucket that is not there, or may not be written to, can be
/// mended while the event waits.
pub(super) fn explain(error: &Error) -> Failure {
    let cause = innermost(error);
    let (what, stays) = match error {
        Error::NotFound { .. } => ("there is no such bucket or folder", false),
        Error::PermissionDenied { .. } => ("the object store does not allow it", false),
        Error::Unauthenticated { .. } => ("the object store does not know these credentials", false),
        Error::InvalidPath { .. } => ("the object store does not take this key", true),
        Error::NotSupported { .. } | Error::NotImplemented { .. } => {
            ("the object store cannot do this", true)
        }
        _ => ("the object cannot be written", false),
    };
    let reason = format!("{what}: {cause}");
    if stays {
        Failure::permanent(reason)
    } else {
        Failure::retryable(reason)
    }
}

/// The innermost cause, which is the plainest. The outer ones show URLs and keys, as do the bodies of answers: of these
/// only the error's name is told.
fn innermost(error: &Error) -> String {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    plain(&cause.to_string())
}

fn plain(text: &str) -> String {
    let name = text
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"))
        .map(|(name, _)| name)
        .filter(|name| name.len() < 100 && name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    // "Server returned …: 404 Not Found: " and the body.
    let Some((_, answer)) = text.split_once("status code: ") else {
        return match name {
            Some(name) => name.to_owned(),
            None if text.starts_with("Server returned") => "the answer is an error".to_owned(),
            None => text.to_owned(),
        };
    };
    let status = answer.split_once(':').map_or(answer, |(status, _)| status);
    match name {
        Some(name) => format!("{status}, {name}"),
        None => status.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn of_an_answer_only_its_status_and_the_errors_name_are_told() {
        let answer = "Server returned non-2xx status code: 404 Not Found: <Error><Code>NoSuchBucket</Code><Key>T0KEN</Key>";
        assert_eq!(plain(answer), "404 Not Found, NoSuchBucket");
        assert_eq!(
            plain("Server returned non-2xx status code: 503 Service Unavailable: "),
            "503 Service Unavailable"
        );
        assert_eq!(
            plain("Server returned error response: T0KEN"),
            "the answer is an error"
        );
        assert_eq!(
            plain("Connection refused (os error 111)"),
            "Connection refused (os error 111)"
        );
    }
}
