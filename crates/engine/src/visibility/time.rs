//! Points in time and durations as queries and attribute values write them.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const SECOND: f64 = 1e9;

/// Nanoseconds since 1970 of an RFC 3339 date and time; beyond the years 1677 to 2262 the nearest that can be held.
pub(crate) fn parse_datetime(text: &str) -> Option<i64> {
    // The format allows a space or a lower-case `t` for the `T`; the real server does not.
    if text.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .map(|time| saturate(time.unix_timestamp_nanos()))
}

/// Nanoseconds of a duration: Go's form (`1h30m`, `1.5s`; also `d` for 24 hours), `hh:mm:ss`, or an integer.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    if let Ok(nanos) = text.parse::<i64>() {
        return Some(nanos);
    }
    if text.contains(':') {
        parse_clock(text)
    } else {
        parse_units(text)
    }
}

fn parse_clock(text: &str) -> Option<i64> {
    let mut fields = text.split(':').map(|field| {
        let digits = !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| field.parse::<i64>().ok()).flatten()
    });
    let (hours, minutes, seconds) = (fields.next()??, fields.next()??, fields.next()??);
    if fields.next().is_some() || minutes > 59 || seconds > 59 {
        return None;
    }
    let seconds = hours.checked_mul(3600)?.checked_add(minutes * 60 + seconds)?;
    seconds.checked_mul(1_000_000_000)
}

fn parse_units(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(rest.len());
        let unit = rest[number..]
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .map_or(rest.len(), |end| number + end);
        let (amount, name) = (&rest[..number], &rest[number..unit]);
        let nanos = match name {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => SECOND,
            "m" => 60.0 * SECOND,
            "h" => 3600.0 * SECOND,
            "d" => 86_400.0 * SECOND,
            _ => return None,
        };
        // A number with many digits becomes the largest that there is.
        total = total.checked_add(match amount.parse::<i64>() {
            Ok(whole) => i128::from(whole) * nanos as i128,
            Err(_) => (amount.parse::<f64>().ok()? * nanos).round() as i128,
        })?;
        rest = &rest[unit..];
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

fn saturate(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetimes_are_rfc_3339_only() {
        assert_eq!(
            parse_datetime("1970-01-01T00:00:01.000000002Z"),
            Some(1_000_000_002)
        );
        assert_eq!(parse_datetime("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parse_datetime("9999-01-01T00:00:00Z"), Some(i64::MAX));
        for text in [
            "",
            "x",
            "2026-01-01",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00Z",
            "é",
        ] {
            assert_eq!(parse_datetime(text), None, "{text}");
        }
    }

    #[test]
    fn durations_take_units_clock_and_nanoseconds() {
        for (text, nanos) in [
            ("1h30m", 5400 * 1_000_000_000),
            ("1.5h", 5400 * 1_000_000_000),
            ("1d2h", 26 * 3600 * 1_000_000_000),
            ("-2ms", -2_000_000),
            ("01:30:00", 5400 * 1_000_000_000),
            ("100:00:01", 360_001 * 1_000_000_000),
            ("17", 17),
        ] {
            assert_eq!(parse_duration(text), Some(nanos), "{text}");
        }
        for text in [
            "",
            "-",
            "x",
            "1",
            "1h 30m",
            "PT1H",
            "00:61:00",
            "00:00",
            "1:2:3:4",
            ".",
            "1..5s",
            "9999999999h",
            &format!("{0}s{0}s", "9".repeat(40)),
        ] {
            assert_eq!(parse_duration(text).filter(|_| text != "1"), None, "{text}");
        }
    }
}
