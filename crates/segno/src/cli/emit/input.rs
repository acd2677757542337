//! JSON values from a file: one a line, or one after the other over several lines, or in a list.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use serde_json::{Deserializer, Value};

/// A value and where it is.
#[derive(Debug)]
pub(super) struct Item {
    /// The file, and the line or the number of the value.
    pub(super) at: String,
    /// The value, or why it is none.
    pub(super) value: Result<Value, String>,
}

/// A file that is read value by value.
pub(super) struct Input {
    name: String,
    lines: Box<dyn BufRead>,
    line: usize,
    /// What is read and not handed out yet.
    ready: VecDeque<Item>,
}

impl Input {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let (name, lines): (_, Box<dyn BufRead>) = match path.as_os_str() == "-" {
            true => ("standard input".to_owned(), Box::new(BufReader::new(io::stdin()))),
            false => (
                path.display().to_string(),
                Box::new(BufReader::new(File::open(path)?)),
            ),
        };
        Ok(Self::of(name, lines))
    }

    fn of(name: String, lines: Box<dyn BufRead>) -> Self {
        Self {
            name,
            lines,
            line: 0,
            ready: VecDeque::new(),
        }
    }

    /// The next value; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Item>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            let Some(line) = self.read_line()? else {
                return Ok(None);
            };
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match serde_json::from_slice(&line) {
                Ok(value) => self.push(format!("{}:{}", self.name, self.line), value),
                // Not a value by itself: perhaps the beginning of one.
                Err(error) if error.is_eof() => self.read_on(line)?,
                Err(error) => self.refuse(self.line, &error.to_string()),
            }
        }
    }

    fn read_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let read = self.lines.read_until(b'\n', &mut line)?;
        self.line += usize::from(read > 0);
        Ok((read > 0).then_some(line))
    }

    /// Reads lines until they are values together. Where they never are, the first line is what is wrong, and the others are
    /// looked at one by one.
    fn read_on(&mut self, first: Vec<u8>) -> io::Result<()> {
        let began = self.line;
        let mut text = first;
        self.lines.read_to_end(&mut text)?;
        let name = self.name.clone();
        let mut values = Deserializer::from_slice(&text).into_iter::<Value>();
        let mut items = Vec::new();
        let mut number = 0;
        let mut broken = None;
        for value in &mut values {
            number += 1;
            match value {
                Ok(value) => items.push((format!("{name}, value {number}"), value)),
                Err(error) => broken = Some(error.to_string()),
            }
        }
        let Some(error) = broken else {
            items.into_iter().for_each(|(at, value)| self.push(at, value));
            return Ok(());
        };
        let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
        let alone =
            |line: &&[u8]| serde_json::from_slice::<Value>(line).is_ok_and(|value| !value.is_number());
        if !lines.iter().any(alone) {
            self.refuse(began, &error);
            return Ok(());
        }
        for (n, line) in lines.into_iter().enumerate() {
            match serde_json::from_slice(line) {
                _ if line.iter().all(u8::is_ascii_whitespace) => {}
                Ok(value) => self.push(format!("{name}:{}", began + n), value),
                Err(error) => self.refuse(began + n, &error.to_string()),
            }
        }
        Ok(())
    }

    /// A list is its elements.
    fn push(&mut self, at: String, value: Value) {
        match value {
            Value::Array(values) => {
                for (n, value) in values.into_iter().enumerate() {
                    let at = format!("{at}, element {n}");
                    self.ready.push_back(Item { at, value: Ok(value) });
                }
            }
            value => self.ready.push_back(Item { at, value: Ok(value) }),
        }
    }

    fn refuse(&mut self, line: usize, error: &str) {
        let at = format!("{}:{line}", self.name);
        let value = Err(format!("this is not JSON: {error}"));
        self.ready.push_back(Item { at, value });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Vec<(String, Option<Value>)> {
        let mut input = Input::of(
            "f".to_owned(),
            Box::new(io::Cursor::new(text.as_bytes().to_vec())),
        );
        let mut items = Vec::new();
        while let Some(item) = input.next().unwrap() {
            items.push((item.at, item.value.ok()));
        }
        items
    }

    fn values(text: &str) -> Vec<Option<Value>> {
        read(text).into_iter().map(|(_, value)| value).collect()
    }

    #[test]
    fn lines_lists_and_documents() {
        let both = [Some(json!({"a": 1})), Some(json!({"b": 2}))];
        for text in [
            "{\"a\": 1}\n\n{\"b\": 2}\n",
            "{\"a\": 1}\n{\"b\": 2}",
            "[{\"a\": 1}, {\"b\": 2}]",
            "[\n  {\"a\": 1},\n  {\"b\": 2}\n]\n",
            "{\n\"a\": 1\n}\n{\n\"b\": 2\n}",
            "{\"a\": 1}\n[{\"b\": 2}]",
        ] {
            assert_eq!(values(text), both, "{text}");
        }
        assert_eq!(read(""), []);
    }

    #[test]
    fn what_is_broken_is_named_and_the_rest_is_read() {
        let read = read("{\"a\": 1}\n{\"b\": \n{\"c\": 3}\nnonsense\n{\"d\": 4}\n");
        let places: Vec<_> = read
            .iter()
            .map(|(at, value)| (at.as_str(), value.is_some()))
            .collect();
        assert_eq!(
            places,
            [
                ("f:1", true),
                ("f:2", false),
                ("f:3", true),
                ("f:4", false),
                ("f:5", true)
            ]
        );
    }

    #[test]
    fn a_document_that_ends_too_early_is_one_mistake() {
        let read = read("[\n  {\"a\": 1},\n");
        assert!(
            matches!(read.as_slice(), [.., (_, Some(_))] | [(_, None)]),
            "{read:?}"
        );
        let read = self::read("{\n  \"a\": [1,\n");
        assert_eq!(read, [("f:1".to_owned(), None)]);
    }
}
