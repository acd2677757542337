//! Several guardians' answers as one.

use serde_json::Value;

/// Two lists of answers are not answers to the same questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} answers where {expected} are expected")]
pub struct LengthMismatch {
    /// How many there should be.
    pub expected: usize,
    /// How many there are.
    pub found: usize,
}

/// What all `guardians` agree on, question by question: the value that they all give, leaving out those who give none
/// (null), or null. None without any guardian.
///
/// ```
/// use segno_consent::combine::combine;
/// use serde_json::json;
///
/// let answers = |list: serde_json::Value| list.as_array().cloned().unwrap_or_default();
/// let [a, b] = [answers(json!([true, true, null])), answers(json!([true, false, "x"]))];
/// assert_eq!(combine(&[a, b])?, Some(answers(json!([true, null, "x"]))));
/// # Ok::<(), segno_consent::combine::LengthMismatch>(())
/// ```
///
/// # Errors
///
/// [`LengthMismatch`] unless all have answered the same number of questions.
pub fn combine(guardians: &[Vec<Value>]) -> Result<Option<Vec<Value>>, LengthMismatch> {
    let Some((first, others)) = guardians.split_first() else {
        return Ok(None);
    };
    let mut combined = Agreement::of(first);
    for answers in others {
        combined.add(answers)?;
    }
    Ok(Some(combined.into_answers()))
}

/// What is known of each question so far.
struct Agreement(Vec<Opinion>);

enum Opinion {
    Nobody,
    All(Value),
    Divided,
}

impl Agreement {
    fn of(answers: &[Value]) -> Self {
        let opinion = |answer: &Value| match answer {
            Value::Null => Opinion::Nobody,
            value => Opinion::All(value.clone()),
        };
        Self(answers.iter().map(opinion).collect())
    }

    fn add(&mut self, answers: &[Value]) -> Result<(), LengthMismatch> {
        if answers.len() != self.0.len() {
            return Err(LengthMismatch {
                expected: self.0.len(),
                found: answers.len(),
            });
        }
        for (opinion, answer) in self.0.iter_mut().zip(answers) {
            let divided = match opinion {
                Opinion::All(value) => !answer.is_null() && value != answer,
                Opinion::Nobody | Opinion::Divided => false,
            };
            if divided {
                *opinion = Opinion::Divided;
            } else if matches!(opinion, Opinion::Nobody) && !answer.is_null() {
                *opinion = Opinion::All(answer.clone());
            }
        }
        Ok(())
    }

    fn into_answers(self) -> Vec<Value> {
        let answer = |opinion| match opinion {
            Opinion::All(value) => value,
            Opinion::Nobody | Opinion::Divided => Value::Null,
        };
        self.0.into_iter().map(answer).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn combined(guardians: &[Value]) -> Result<Value, LengthMismatch> {
        let lists: Vec<_> = guardians
            .iter()
            .map(|list| list.as_array().unwrap().clone())
            .collect();
        combine(&lists).map(|answers| answers.map_or(Value::Null, Value::Array))
    }

    #[test]
    fn guardians_agree_or_there_is_no_answer() {
        let vectors = [
            (
                json!([null, true, "blue"]),
                json!([null, false, "blue"]),
                json!([null, null, "blue"]),
            ),
            (
                json!([true, true, true]),
                json!([true, false, null]),
                json!([true, null, true]),
            ),
            (json!([false]), json!([false]), json!([false])),
            (json!(["red"]), json!(["blue"]), json!([null])),
            (json!([]), json!([]), json!([])),
        ];
        for (a, b, expected) in vectors {
            assert_eq!(combined(&[a.clone(), b.clone()]), Ok(expected.clone()));
            assert_eq!(
                combined(&[b, a]),
                Ok(expected),
                "the order of guardians does not matter"
            );
        }
    }

    #[test]
    fn one_guardian_is_copied_and_none_says_nothing() {
        assert_eq!(combined(&[json!([null, "x"])]), Ok(json!([null, "x"])));
        assert_eq!(combined(&[]), Ok(Value::Null));
    }

    #[test]
    fn a_third_guardian_does_not_mend_a_division() {
        let three = [json!([true, null]), json!([false, null]), json!([true, 1])];
        assert_eq!(combined(&three), Ok(json!([null, 1])));
    }

    #[test]
    fn answers_to_different_questions_are_an_error() {
        let mismatch = LengthMismatch {
            expected: 1,
            found: 2,
        };
        assert_eq!(combined(&[json!([true]), json!([true, null])]), Err(mismatch));
    }
}
