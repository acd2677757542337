//! The `Retry-After` header (RFC 9110, 10.2.3).

use std::time::{Duration, SystemTime};

/// The longest wait a receiver can ask for; more is cut to it, so that a slip of the pen does not put a
/// delivery off for years.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The wait that a header value asks for: seconds, or an HTTP date in any of its three forms. `None` if
/// it is neither, or asks for no wait.
pub(crate) fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits alone fail only by being too many.
        value.parse().map_or(LONGEST, Duration::from_secs)
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(now).ok()?
    };
    (!wait.is_zero()).then_some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_dates() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let minute = Some(Duration::from_secs(60));
        for (value, wait) in [
            ("60", minute),
            (" 60 ", minute),
            ("Sun, 06 Nov 1994 08:50:37 GMT", minute),
            ("Sunday, 06-Nov-94 08:50:37 GMT", minute),
            ("Sun Nov  6 08:50:37 1994", minute),
            ("Sun, 06 Nov 1994 08:48:37 GMT", None),
            ("0", None),
            ("-5", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
            ("99999999", Some(LONGEST)),
            ("99999999999999999999999999", Some(LONGEST)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(LONGEST)),
        ] {
            assert_eq!(parse(value, now), wait, "{value:?}");
        }
    }
}
