//! Rows of the table and the events in them.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use segno_event::{Data, Event};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{Cipher, CipherError, Error};

/// Longest `id`, `source`, `type` and key, in characters: what the columns take.
const MAX_NAME: usize = 255;

/// The columns that an event is written to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) ty: String,
    pub(crate) subject: Option<String>,
    pub(crate) time: Option<String>,
    pub(crate) datacontenttype: Option<String>,
    pub(crate) dataschema: Option<String>,
    pub(crate) extensions: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) data: Option<String>,
    pub(crate) data_encoding: String,
    pub(crate) cipher_key: Option<String>,
}

/// A row that is to be published.
#[derive(Clone, Debug)]
pub struct PendingRow {
    pub(crate) position: i64,
    pub(crate) attempts: i32,
    /// When it was written, in milliseconds since 1970.
    pub(crate) created_at_ms: i64,
    pub(crate) row: Row,
}

/// Why the event in a row cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowError {
    #[error("`{column}` is not {what}")]
    Column {
        column: &'static str,
        what: &'static str,
    },
    #[error("`data` is not JSON: {0}")]
    Json(serde_json::Error),
    #[error("`data` is encrypted with the key {0:?}, and the relay has no cipher")]
    NoCipher(String),
    #[error(transparent)]
    Cipher(#[from] CipherError),
    #[error("{0}")]
    Invalid(String),
}

impl Row {
    pub(crate) fn of(event: &Event, key: Option<&str>, cipher: Option<&dyn Cipher>) -> Result<Self, Error> {
        event.validate().map_err(Error::Invalid)?;
        let short = [
            ("id", Some(event.id.as_str())),
            ("source", Some(&event.source)),
            ("type", Some(&event.ty)),
            ("datacontenttype", event.datacontenttype.as_deref()),
            ("aggregate_key", key),
        ];
        for (column, value) in short {
            let length = value.map_or(0, |value| value.chars().count());
            if length > MAX_NAME {
                return Err(Error::TooLong {
                    column,
                    length,
                    max: MAX_NAME,
                });
            }
        }
        let time = event.time.map(|time| time.format(&Rfc3339)).transpose();
        let time = time.map_err(<serde_json::Error as serde::ser::Error>::custom)?;
        let extensions = (!event.extensions.is_empty()).then(|| serde_json::to_string(&event.extensions));
        let mut row = Self {
            id: event.id.clone(),
            source: event.source.clone(),
            ty: event.ty.clone(),
            subject: event.subject.clone(),
            time,
            datacontenttype: event.datacontenttype.clone(),
            dataschema: event.dataschema.clone(),
            extensions: extensions.transpose()?,
            key: key.map(str::to_owned),
            data: None,
            data_encoding: "json".to_owned(),
            cipher_key: None,
        };
        let plain = match &event.data {
            None => return Ok(row),
            Some(Data::Json(value)) => serde_json::to_string(value)?.into_bytes(),
            Some(Data::Binary(bytes)) => {
                row.data_encoding = "base64".to_owned();
                bytes.clone()
            }
        };
        row.data = Some(match cipher {
            Some(cipher) => {
                let sealed = cipher
                    .seal(&plain, &row.context())
                    .map_err(|source| Error::Seal {
                        id: event.id.clone(),
                        source,
                    })?;
                row.cipher_key = Some(sealed.key_id);
                BASE64.encode(sealed.bytes)
            }
            None if row.data_encoding == "base64" => BASE64.encode(plain),
            // It was made of a string a few lines above.
            None => String::from_utf8_lossy(&plain).into_owned(),
        });
        Ok(row)
    }

    /// What binds an encrypted payload to its row.
    fn context(&self) -> Vec<u8> {
        [self.source.as_bytes(), b"\0", self.id.as_bytes()].concat()
    }

    /// The event in the row.
    pub(crate) fn event(&self, cipher: Option<&dyn Cipher>) -> Result<Event, RowError> {
        let mut event = Event::new(self.source.clone(), self.id.clone(), self.ty.clone());
        event.subject.clone_from(&self.subject);
        event.datacontenttype.clone_from(&self.datacontenttype);
        event.dataschema.clone_from(&self.dataschema);
        if let Some(time) = &self.time {
            let time = OffsetDateTime::parse(time, &Rfc3339).map_err(|_| RowError::Column {
                column: "time",
                what: "a time as in RFC 3339",
            })?;
            event.time = Some(time);
        }
        if let Some(extensions) = &self.extensions {
            event.extensions = serde_json::from_str(extensions).map_err(|_| RowError::Column {
                column: "extensions",
                what: "a JSON object",
            })?;
        }
        event.data = self.data(cipher)?;
        match event.validate() {
            Ok(()) => Ok(event),
            Err(violations) => {
                let rules: Vec<_> = violations.iter().map(ToString::to_string).collect();
                Err(RowError::Invalid(format!(
                    "the row is no CloudEvent: {}",
                    rules.join("; ")
                )))
            }
        }
    }

    fn data(&self, cipher: Option<&dyn Cipher>) -> Result<Option<Data>, RowError> {
        let Some(data) = &self.data else { return Ok(None) };
        let binary = self.data_encoding == "base64";
        let decode = || {
            BASE64.decode(data).map_err(|_| RowError::Column {
                column: "data",
                what: "base64",
            })
        };
        let plain = match &self.cipher_key {
            Some(key_id) => {
                let cipher = cipher.ok_or_else(|| RowError::NoCipher(key_id.clone()))?;
                cipher.open(key_id, &decode()?, &self.context())?
            }
            None if binary => decode()?,
            None => data.clone().into_bytes(),
        };
        if binary {
            return Ok(Some(Data::Binary(plain)));
        }
        let value: Value = serde_json::from_slice(&plain).map_err(RowError::Json)?;
        Ok(Some(Data::Json(value)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Keyring;

    fn event() -> Event {
        let mut event = Event::new("/families", "1", "family.updated").with_data(json!({"familyId": 100}));
        event.subject = Some("family/100".to_owned());
        event.time = Some(OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap());
        event
            .extensions
            .insert("traceparent".to_owned(), json!("00-1-2-01"));
        event
    }

    #[test]
    fn an_event_comes_out_as_it_went_in() {
        let mut binary = event();
        binary.data = Some(Data::Binary(vec![0, 255]));
        let mut bare = event();
        bare.data = None;
        let ring = Keyring::new("k", &[7; 32]).unwrap();
        for event in [event(), binary, bare] {
            for cipher in [None, Some(&ring as &dyn Cipher)] {
                let row = Row::of(&event, Some("key"), cipher).unwrap();
                assert_eq!(row.event(cipher).unwrap(), event);
            }
        }
    }

    #[test]
    fn encrypted_data_opens_in_its_row_alone() {
        let ring = Keyring::new("k", &[7; 32]).unwrap();
        let row = Row::of(&event(), None, Some(&ring)).unwrap();
        assert!(!row.data.as_ref().unwrap().contains("familyId"));
        let reason = row.event(None).unwrap_err().to_string();
        assert_eq!(
            reason,
            "`data` is encrypted with the key \"k\", and the relay has no cipher"
        );
        let other = Row {
            id: "2".to_owned(),
            ..row
        };
        assert!(other.event(Some(&ring)).is_err());
    }

    #[test]
    fn what_other_programs_wrote_wrong_is_told_by_its_column() {
        let good = Row::of(&event(), None, None).unwrap();
        type Change = fn(&mut Row);
        let wrong: [(Change, &str); 5] = [
            (
                |row| row.time = Some("today".to_owned()),
                "`time` is not a time as in RFC 3339",
            ),
            (
                |row| row.extensions = Some("[]".to_owned()),
                "`extensions` is not a JSON object",
            ),
            (|row| row.data = Some("{".to_owned()), "`data` is not JSON"),
            (
                |row| row.data_encoding = "base64".to_owned(),
                "`data` is not base64",
            ),
            (|row| row.source = "a b".to_owned(), "the row is no CloudEvent"),
        ];
        for (change, reason) in wrong {
            let mut row = good.clone();
            change(&mut row);
            let found = row.event(None).unwrap_err().to_string();
            assert!(found.starts_with(reason), "{found}");
            assert!(!found.contains("familyId"), "no payload in it: {found}");
        }
    }

    #[test]
    fn what_a_column_does_not_take_is_refused() {
        let mut long = event();
        long.id = "x".repeat(256);
        let error = Row::of(&long, None, None).unwrap_err().to_string();
        assert_eq!(error, "`id` has 256 characters; the outbox takes 255");
        assert!(matches!(
            Row::of(&Event::new("", "1", "t"), None, None),
            Err(Error::Invalid(_))
        ));
    }
}
