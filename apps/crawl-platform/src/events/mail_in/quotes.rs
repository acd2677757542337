//! What somebody wrote in a mail, without what their mail program quoted.
//!
//! There is no standard of quoting, only what programs do. Where nothing is recognised the text stays as it is: better a quote
//! too many in a ticket than words of a customer's that nobody sees.

/// The line at the top of every mail of ours to which answers are wanted. What is below it in an answer is ours.
pub const DELIMITER: &str = "--- Please write your answer above this line ---";

/// Where a mail program begins the mail that is answered, in HTML, as it begins an element.
const HTML_QUOTES: [&str; 8] = [
    "<blockquote",
    "<div class=\"gmail_quote",
    "<div class=gmail_quote",
    "<div class=\"moz-cite-prefix",
    "<div id=\"appendonsend",
    "<div id=\"divrplyfwdmsg",
    "<div class=\"yahoo_quoted",
    "<div class=\"protonmail_quote",
];

/// Words that end the line by which a program says whom it quotes: "On Monday, Carla wrote:".
const WROTE: [&str; 9] = [
    "wrote:",
    "schrieb:",
    "geschrieben:",
    "a écrit :",
    "a écrit:",
    "escribió:",
    "escreveu:",
    "ha scritto:",
    "schreef:",
];

/// How a line begins that opens the header of a mail which is quoted below it.
const OPENINGS: [&str; 6] = [
    "-----original message",
    "-----ursprüngliche nachricht",
    "-----message d'origine",
    "---------- forwarded message",
    "-------- original message",
    "________________________________",
];

/// What programs put below all, when somebody writes on a telephone.
const SENT_FROM: [&str; 6] = [
    "sent from my ",
    "von meinem ",
    "envoyé de mon ",
    "enviado desde mi ",
    "get outlook for ",
    "sent from outlook",
];

/// Longest line that is taken for one that says whom a program quotes.
const LONGEST_ATTRIBUTION: usize = 300;

/// The HTML above the first quote.
pub fn strip_html(html: &str) -> String {
    // Of ASCII letters alone, so that places are the same in both.
    let lower = html.to_ascii_lowercase();
    let quote = HTML_QUOTES.iter().filter_map(|quote| lower.find(quote)).min();
    html[..quote.unwrap_or(html.len())].to_owned()
}

/// The text without quotes and signature.
pub fn strip_text(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.trim_end_matches([' ', '\t', '\r', '\u{a0}']))
        .collect();
    let end = (0..lines.len())
        .find(|&at| ends(&lines, at))
        .unwrap_or(lines.len());
    let mut kept: Vec<&str> = Vec::new();
    for (at, line) in lines[..end].iter().enumerate() {
        if line.starts_with('>') || attributes(&lines[..end], at) {
            continue;
        }
        // One empty line for several, which quotes leave between the answers to them.
        if line.is_empty() && kept.last().is_none_or(|before| before.is_empty()) {
            continue;
        }
        kept.push(line);
    }
    while kept.last().is_some_and(|line| line.is_empty()) {
        kept.pop();
    }
    kept.join("\n")
}

/// Whether everything from this line on is quoted, or the signature.
fn ends(lines: &[&str], at: usize) -> bool {
    let line = lines[at];
    // Before the end of lines is cut the separator is "-- "; programs cut it as well.
    if line == "--" || line.contains(DELIMITER) {
        return true;
    }
    let lower = line.trim_start().to_lowercase();
    if OPENINGS.iter().any(|opening| lower.starts_with(opening)) {
        return true;
    }
    let is_last = lines[at + 1..]
        .iter()
        .all(|line| line.is_empty() || line.starts_with('>') || line.contains(DELIMITER));
    if SENT_FROM.iter().any(|sent| lower.starts_with(sent))
        && lower.chars().count() < 60
        && (is_last || quoted_next(lines, at))
    {
        return true;
    }
    header_block(lines, at) || (attributes(lines, at) && !quote_then_answer(lines, at))
}

/// Outlook's way: the header of the quoted mail as lines.
fn header_block(lines: &[&str], at: usize) -> bool {
    let begins = |line: Option<&&str>, names: &[&str]| {
        line.is_some_and(|line| {
            let line = line.trim_start_matches(['*', ' ']).to_lowercase();
            names.iter().any(|name| line.starts_with(name))
        })
    };
    begins(lines.get(at), &["from:", "von:", "de :", "de:"])
        && begins(
            lines.get(at + 1),
            &[
                "sent:",
                "gesendet:",
                "date:",
                "datum:",
                "envoyé :",
                "enviado:",
                "to:",
            ],
        )
}

/// Whether this line, with the next if it was broken, says whom the program quotes.
fn attributes(lines: &[&str], at: usize) -> bool {
    let is_end = |line: &str| WROTE.iter().any(|wrote| line.to_lowercase().ends_with(wrote));
    let begins = |line: &str| {
        let line = line.trim_start().to_lowercase();
        ["on ", "am ", "le ", "el ", "em ", "il ", "op ", "on\u{a0}"]
            .iter()
            .any(|word| line.starts_with(word))
    };
    let line = lines[at];
    if line.len() > LONGEST_ATTRIBUTION {
        return false;
    }
    let whole = begins(line) && is_end(line) && line.chars().any(|c| c.is_ascii_digit() || c == '@');
    let first_of_two = begins(line)
        && line.chars().any(|c| c.is_ascii_digit())
        && lines
            .get(at + 1)
            .is_some_and(|next| next.len() <= LONGEST_ATTRIBUTION && is_end(next));
    let second_of_two = at > 0 && is_end(line) && {
        let before = lines[at - 1];
        begins(before) && before.chars().any(|c| c.is_ascii_digit())
    };
    whole || first_of_two || second_of_two
}

/// Whether, below a line that says whom it quotes, there is a quote with an answer below it or in between: then the answer
/// is not to be cut off with the quote.
fn quote_then_answer(lines: &[&str], at: usize) -> bool {
    let below = &lines[at + 1..];
    let Some(quote) = below.iter().position(|line| line.starts_with('>')) else {
        return false;
    };
    // Between the two there may be the attribution's second half, and empty lines.
    let between = below[..quote].iter().filter(|line| !line.is_empty()).count();
    between <= 1
        && below[quote..]
            .iter()
            .any(|line| !line.is_empty() && !line.starts_with('>') && *line != "--")
}

fn quoted_next(lines: &[&str], at: usize) -> bool {
    (at + 1..lines.len())
        .find(|&next| !lines[next].is_empty())
        .is_some_and(|next| {
            attributes(lines, next)
                || header_block(lines, next)
                || OPENINGS.iter().any(|o| lines[next].to_lowercase().starts_with(o))
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ways_of_mail_programs() {
        for (text, wanted) in [
            (
                "Fine.\n\nOn Mon, 2 Mar 2026 at 10:00, Data team <a@b.example> wrote:\n> Prices\n> are missing\n",
                "Fine.",
            ),
            // Broken where the line got long.
            (
                "Fine.\n\nOn Mon, 2 Mar 2026 at 10:00, The data team of a company <reply@mail.example>\nwrote:\n\n> Prices\n",
                "Fine.",
            ),
            ("Fine.\n\nAm 02.03.2026 um 10:00 schrieb:\n> Preise\n", "Fine."),
            ("Fine.\n\nLe 2 mars 2026, A a écrit :\n> Prix\n", "Fine."),
            (
                "Fine.\n\n-----Original Message-----\nFrom: A\nSent: today\n\nPrices\n",
                "Fine.",
            ),
            (
                "Fine.\n\nFrom: Data team <a@b.example>\nSent: Monday, March 2\nTo: Carla\nSubject: x\n\nPrices\n",
                "Fine.",
            ),
            ("Fine.\n\n________________________________\nFrom: A\n", "Fine."),
            (
                "Fine.\n\n--- Please write your answer above this line ---\nPrices",
                "Fine.",
            ),
            (
                "Fine.\n> --- Please write your answer above this line ---\n> Prices",
                "Fine.",
            ),
            ("Fine.\n-- \nCarla\nShop Ltd.\n", "Fine."),
            (
                "Fine.\n\nSent from my iPhone\n\nOn Mon, 2 Mar 2026, A <a@b.example> wrote:\n> Prices",
                "Fine.",
            ),
            ("Fine.\n\nSent from my iPhone\n", "Fine."),
            // Answers below and between quotes.
            (
                "On 2 Mar 2026, A <a@b.example> wrote:\n> Prices?\n\nThere now.\n\n> Names?\n\nThose too.\n",
                "There now.\n\nThose too.",
            ),
            // Nothing of a quote.
            ("One.\n\n\n\nTwo.", "One.\n\nTwo."),
            ("He wrote:\nall is well", "He wrote:\nall is well"),
            (
                "On Monday we will see.\nSent from my house, as they say, all of it\nBye",
                "On Monday we will see.\nSent from my house, as they say, all of it\nBye",
            ),
            ("> only a quote", ""),
            ("", ""),
        ] {
            assert_eq!(strip_text(text), wanted, "{text}");
        }
    }

    #[test]
    fn html_is_cut_at_the_quote() {
        assert_eq!(strip_html("<p>É</p><DIV CLASS=\"gmail_quote\">x"), "<p>É</p>");
        assert_eq!(strip_html("<p>a</p>"), "<p>a</p>");
        assert_eq!(strip_html("İ<p>a</p><blockquote>b"), "İ<p>a</p>");
    }

    proptest! {
        /// Whatever is written: no quote stays, nothing is made up, and what is done twice is done.
        #[test]
        fn stripping_keeps_only_lines_that_were_there(text in "([a-z>:\\- \\n]|wrote:|On 2 |From: |Sent: ){0,80}") {
            let stripped = strip_text(&text);
            for line in stripped.lines() {
                prop_assert!(!line.starts_with('>'));
                prop_assert!(line.is_empty() || text.lines().any(|from| from.trim_end() == line));
            }
        }

        #[test]
        fn plain_words_stay(lines in proptest::collection::vec("[a-z]{1,10}( [a-z]{1,10}){0,5}", 1..10)) {
            let text = lines.join("\n");
            let told = lines.iter().any(|line| line.starts_with("sent from"));
            prop_assume!(!told);
            prop_assert_eq!(strip_text(&text), text);
        }
    }
}
