//! What somebody may have meant.

use strsim::damerau_levenshtein;

/// The one of `known` that `found` is a typing slip of, if any is near enough.
pub(super) fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let slips = (found.chars().count() / 3).clamp(1, 3);
    let distance = |known: &'a str| {
        (
            damerau_levenshtein(&found.to_lowercase(), &known.to_lowercase()),
            known,
        )
    };
    let (distance, nearest) = known.into_iter().map(distance).min()?;
    (distance <= slips).then_some(nearest)
}

/// "did you mean …?" or, where nothing is near, all that there is.
pub(super) fn help<'a>(found: &str, known: impl IntoIterator<Item = &'a str> + Clone, none: &str) -> String {
    if let Some(nearest) = nearest(found, known.clone()) {
        return format!("did you mean `{nearest}`?");
    }
    let all: Vec<_> = known.into_iter().map(|name| format!("`{name}`")).collect();
    if all.is_empty() {
        none.to_owned()
    } else {
        format!("there is {}", all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_found_and_guesses_are_not_made() {
        let known = ["webhook", "file", "max_attempts", "to"];
        assert_eq!(nearest("webhok", known), Some("webhook"));
        assert_eq!(nearest("WebHook", known), Some("webhook"));
        assert_eq!(nearest("max-attempt", known), Some("max_attempts"));
        assert_eq!(nearest("flie", known), Some("file"));
        assert_eq!(nearest("ot", known), Some("to"));
        assert_eq!(nearest("queue", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
