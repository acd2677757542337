//! Buckets, objects, and uploads of several parts.

use std::collections::{BTreeMap, HashMap};

use axum::{body::Bytes, http::HeaderMap};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};

use super::refusal::Refusal;
use crate::clock::now;

/// Every part but the last has as many bytes.
const SMALLEST_PART: usize = 5 << 20;

/// An object as it is kept.
#[derive(Clone, Debug)]
pub struct StoredObject {
    /// What it holds.
    pub body: Bytes,
    /// Its type.
    pub content_type: String,
    /// A number that grows whenever something is written under its name.
    pub generation: u64,
    /// In quotes.
    pub etag: String,
    /// Whether it was uploaded in parts.
    pub composed: bool,
    pub(super) modified: String,
}

struct Upload {
    bucket: String,
    name: String,
    content_type: String,
    /// By their numbers.
    parts: BTreeMap<u32, (String, Bytes)>,
}

/// A part as a client lists it: its number and its ETag.
pub(super) type Listed = (u32, String);

#[derive(Default)]
pub(super) struct Objects {
    buckets: HashMap<String, BTreeMap<String, StoredObject>>,
    uploads: HashMap<String, Upload>,
    generation: u64,
}

impl Objects {
    pub(super) fn create_bucket(&mut self, name: &str) {
        self.buckets.entry(name.to_owned()).or_default();
    }

    pub(super) fn open_uploads(&self) -> usize {
        self.uploads.len()
    }

    fn bucket(&mut self, name: &str) -> Result<&mut BTreeMap<String, StoredObject>, Refusal> {
        self.buckets
            .get_mut(name)
            .ok_or_else(|| Refusal::no_such("Bucket"))
    }

    pub(super) fn get(&self, bucket: &str, name: &str) -> Result<StoredObject, Refusal> {
        let bucket = self
            .buckets
            .get(bucket)
            .ok_or_else(|| Refusal::no_such("Bucket"))?;
        bucket.get(name).cloned().ok_or_else(|| Refusal::no_such("Key"))
    }

    pub(super) fn put(
        &mut self,
        bucket: &str,
        name: &str,
        content_type: &str,
        body: Bytes,
        if_generation: Option<u64>,
    ) -> Result<StoredObject, Refusal> {
        let there = self
            .bucket(bucket)?
            .get(name)
            .map_or(0, |object| object.generation);
        if if_generation.is_some_and(|wanted| wanted != there) {
            return Err(Refusal::precondition());
        }
        let etag = etag(&body);
        self.store(bucket, name, content_type.to_owned(), body, etag, false)
    }

    fn store(
        &mut self,
        bucket: &str,
        name: &str,
        content_type: String,
        body: Bytes,
        etag: String,
        composed: bool,
    ) -> Result<StoredObject, Refusal> {
        self.generation += 1;
        let stored = StoredObject {
            body,
            content_type,
            generation: self.generation,
            etag,
            composed,
            modified: httpdate::fmt_http_date(now()),
        };
        self.bucket(bucket)?.insert(name.to_owned(), stored.clone());
        Ok(stored)
    }

    pub(super) fn delete(&mut self, bucket: &str, name: &str) -> Result<(), Refusal> {
        let gone = self.bucket(bucket)?.remove(name);
        gone.map(drop).ok_or_else(|| Refusal::no_such("Key"))
    }

    pub(super) fn initiate(
        &mut self,
        bucket: &str,
        name: &str,
        content_type: &str,
    ) -> Result<String, Refusal> {
        self.bucket(bucket)?;
        let id = uuid::Uuid::new_v4().simple().to_string();
        let upload = Upload {
            bucket: bucket.to_owned(),
            name: name.to_owned(),
            content_type: content_type.to_owned(),
            parts: BTreeMap::new(),
        };
        self.uploads.insert(id.clone(), upload);
        Ok(id)
    }

    fn upload(&mut self, bucket: &str, name: &str, id: &str) -> Result<&mut Upload, Refusal> {
        let found = self.uploads.get_mut(id);
        found
            .filter(|upload| upload.bucket == bucket && upload.name == name)
            .ok_or_else(|| Refusal::no_such("Upload"))
    }

    pub(super) fn put_part(
        &mut self,
        bucket: &str,
        name: &str,
        id: &str,
        number: u32,
        body: Bytes,
    ) -> Result<String, Refusal> {
        let etag = etag(&body);
        let upload = self.upload(bucket, name, id)?;
        upload.parts.insert(number, (etag.clone(), body));
        Ok(etag)
    }

    /// Makes an object of the parts, if they are listed in order and as they came.
    pub(super) fn complete(
        &mut self,
        bucket: &str,
        name: &str,
        id: &str,
        listed: &[Listed],
    ) -> Result<StoredObject, Refusal> {
        let upload = self.upload(bucket, name, id)?;
        if !listed.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(Refusal::parts(
                "InvalidPartOrder",
                "The parts are listed out of order.",
            ));
        }
        let mut body = Vec::new();
        for (position, (number, etag)) in listed.iter().enumerate() {
            let Some((_, part)) = upload.parts.get(number).filter(|(came, _)| came == etag) else {
                return Err(Refusal::parts(
                    "InvalidPart",
                    "A part that is listed has not come.",
                ));
            };
            if part.len() < SMALLEST_PART && position + 1 < listed.len() {
                return Err(Refusal::parts(
                    "EntityTooSmall",
                    "A part other than the last is too small.",
                ));
            }
            body.extend_from_slice(part);
        }
        let content_type = upload.content_type.clone();
        let etag = format!("\"{}-{}\"", hex::encode(Md5::digest(&body)), listed.len());
        let stored = self.store(bucket, name, content_type, body.into(), etag, true)?;
        self.uploads.remove(id);
        Ok(stored)
    }

    pub(super) fn abort(&mut self, bucket: &str, name: &str, id: &str) -> Result<(), Refusal> {
        self.upload(bucket, name, id)?;
        self.uploads.remove(id);
        Ok(())
    }
}

fn etag(body: &[u8]) -> String {
    format!("\"{}\"", hex::encode(Md5::digest(body)))
}

/// The parts of a `CompleteMultipartUpload`.
pub(super) fn listed(body: &[u8]) -> Result<Vec<Listed>, Refusal> {
    let malformed = || {
        Refusal::parts(
            "MalformedCompleteMultipartUploadRequest",
            "The list cannot be read.",
        )
    };
    let between = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>"))
            .map(|(inner, _)| inner.to_owned())
    };
    let text = std::str::from_utf8(body).map_err(|_| malformed())?;
    let list = between(text, "CompleteMultipartUpload").ok_or_else(malformed)?;
    let parts = list.split("</Part>").filter(|part| part.contains("<Part>"));
    let parts = parts.map(|part| {
        let number = between(part, "PartNumber")?.parse().ok()?;
        Some((number, between(part, "ETag")?.replace("&quot;", "\"")))
    });
    let parts: Vec<_> = parts.collect::<Option<_>>().ok_or_else(malformed)?;
    if parts.is_empty() {
        return Err(malformed());
    }
    Ok(parts)
}

/// Compares what came with the checksums that were sent along.
pub(super) fn verify(headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    let ours = hashes(body, true);
    let ours: Vec<_> = ours.split(',').collect();
    for header in headers.get_all("x-goog-hash") {
        let told = header
            .to_str()
            .map_err(|_| Refusal::invalid("x-goog-hash is no text"))?;
        if !told.split(',').all(|one| ours.contains(&one.trim())) {
            return Err(Refusal::digest());
        }
    }
    let md5 = headers.get("content-md5").map(|value| value.as_bytes());
    if md5.is_some_and(|md5| md5 != STANDARD.encode(Md5::digest(body)).as_bytes()) {
        return Err(Refusal::digest());
    }
    Ok(())
}

/// The checksums as the header `x-goog-hash` has them. Of an object that was made of parts the MD5 is not known.
pub(super) fn hashes(body: &[u8], with_md5: bool) -> String {
    let crc = STANDARD.encode(crc32c(body).to_be_bytes());
    if with_md5 {
        format!("crc32c={crc},md5={}", STANDARD.encode(Md5::digest(body)))
    } else {
        format!("crc32c={crc}")
    }
}

/// Castagnoli's CRC (RFC 3720, B.4).
fn crc32c(body: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut value = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                value = (value >> 1) ^ (0x82F6_3B78 & (value & 1).wrapping_neg());
                bit += 1;
            }
            table[byte] = value;
            byte += 1;
        }
        table
    };
    let fold = |crc: u32, byte: &u8| (crc >> 8) ^ TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize];
    !body.iter().fold(u32::MAX, fold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_a_known_text() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(hashes(b"", true), "crc32c=AAAAAA==,md5=1B2M2Y8AsgTpgAmY7PhCfg==");
    }
}
