//! How mails about a ticket hang together: `Message-ID`, `In-Reply-To`, `References`, `Reply-To`.
//!
//! A mail's `Message-ID` says which comment of which ticket it is about and whom it went to, under a seal that only this
//! platform can make. It is made of these alone: a mail that is made again has the same one, by which it is known as sent. And
//! an answer to it, which names it, finds its ticket without a table, and nobody can make up a mail that answers to a ticket
//! they were never told of.
//!
//! - `<wd-12.10045.p.RECIPIENT.SEAL@mail.example>`: about the comment 10045, which customers see (`i`: which they do not).
//! - `<wd-12.thread.SEAL@mail.example>`: the beginning of the ticket's thread, under which mail programs gather the others.
//! - `reply+wd-12.p.SEAL@mail.example`: the address for answers, for programs that name no mail in their answers.

use sha2::{Digest, Sha256};

/// Bytes of a seal that are written: 64 bits, which nobody guesses over a network.
const SEAL: usize = 8;
/// Bytes of a recipient's mark that are written.
const MARK: usize = 6;
/// SHA-256's block, in bytes (RFC 2104).
const BLOCK: usize = 64;

/// What mails of this platform are known by.
#[derive(Clone)]
pub struct Threads {
    domain: String,
    secret: Vec<u8>,
}

/// What a mail of ours was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The ticket's key.
    pub ticket: String,
    /// Whether customers do not see it.
    pub internal: bool,
}

impl Threads {
    /// Mails from addresses of this domain, under seals made with this secret.
    pub fn new(domain: &str, secret: &str) -> Self {
        Self {
            domain: domain.to_ascii_lowercase(),
            secret: secret.as_bytes().to_vec(),
        }
    }

    /// The domain that mails are from.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The `Message-ID` of the mail that tells this recipient of this comment, without angle brackets.
    pub fn message_id(&self, ticket: &str, comment: &str, internal: bool, recipient: &str) -> String {
        let mark = hex(&Sha256::digest(address(recipient))[..MARK]);
        let kind = if internal { 'i' } else { 'p' };
        self.sealed(&format!("{ticket}.{comment}.{kind}.{mark}"))
    }

    /// The `Message-ID` that a ticket's thread begins with.
    pub fn root(&self, ticket: &str) -> String {
        self.sealed(&format!("{ticket}.thread"))
    }

    /// The `Message-ID` of a mail that belongs to no ticket: one for each key and recipient.
    pub fn single(&self, key: &str, recipient: &str) -> String {
        let mark = hex(&Sha256::digest(format!("{key}\n{}", address(recipient)))[..16]);
        self.sealed(&format!("mail.{mark}"))
    }

    /// The address that answers go to.
    pub fn reply_to(&self, ticket: &str, internal: bool) -> String {
        let kind = if internal { 'i' } else { 'p' };
        format!("reply+{}", self.sealed(&format!("{ticket}.{kind}")))
    }

    /// What the mail with this `Message-ID` was about. None: it is not ours, or of no ticket.
    pub fn about(&self, message_id: &str) -> Option<About> {
        let body = self.unsealed(message_id)?;
        let parts: Vec<&str> = body.split('.').collect();
        let (ticket, internal) = match parts.as_slice() {
            [ticket, _comment, kind, _mark] => (ticket, *kind == "i"),
            [ticket, "thread"] => (ticket, false),
            _ => return None,
        };
        Some(About {
            ticket: ticket.to_ascii_uppercase(),
            internal,
        })
    }

    /// What answers to this address are about. None: it is none of ours.
    pub fn about_address(&self, address: &str) -> Option<About> {
        let address = address.to_ascii_lowercase();
        let body = self.unsealed(address.strip_prefix("reply+")?)?;
        let (ticket, kind) = body.split_once('.')?;
        Some(About {
            ticket: ticket.to_ascii_uppercase(),
            internal: kind == "i",
        })
    }

    /// Whether a mail with this `Message-ID` was sent from here.
    pub fn is_ours(&self, message_id: &str) -> bool {
        self.unsealed(message_id).is_some()
    }

    /// Whether this is one of the addresses that mails are sent from.
    pub fn is_our_address(&self, address: &str) -> bool {
        domain_of(address).is_some_and(|domain| domain.eq_ignore_ascii_case(&self.domain))
    }

    fn sealed(&self, body: &str) -> String {
        let body = body.to_ascii_lowercase();
        let seal = self.seal(&body);
        format!("{body}.{seal}@{}", self.domain)
    }

    /// What is sealed, in small letters: some servers change the case of what they pass on.
    fn unsealed(&self, id: &str) -> Option<String> {
        let id = id.trim().trim_start_matches('<').trim_end_matches('>');
        let id = id.to_ascii_lowercase();
        let local = id.strip_suffix(&self.domain)?.strip_suffix('@')?;
        let (body, seal) = local.rsplit_once('.')?;
        // How long a comparison takes tells of hexadecimal digits of a seal that is of use for this one text alone; still.
        let expected = self.seal(body);
        let differences = expected.bytes().zip(seal.bytes()).filter(|(a, b)| a != b).count();
        (expected.len() == seal.len() && differences == 0).then(|| body.to_owned())
    }

    /// HMAC-SHA256 (RFC 2104) of the text.
    fn seal(&self, text: &str) -> String {
        let mut key = [0; BLOCK];
        if self.secret.len() > BLOCK {
            key[..32].copy_from_slice(&Sha256::digest(&self.secret));
        } else {
            key[..self.secret.len()].copy_from_slice(&self.secret);
        }
        let inner = Sha256::new()
            .chain_update(key.map(|byte| byte ^ 0x36))
            .chain_update(text)
            .finalize();
        let outer = Sha256::new()
            .chain_update(key.map(|byte| byte ^ 0x5c))
            .chain_update(inner)
            .finalize();
        hex(&outer[..SEAL])
    }
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Threads")
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

/// The part after the last `@`.
pub fn domain_of(address: &str) -> Option<&str> {
    let (local, domain) = address.trim().rsplit_once('@')?;
    (!local.is_empty() && !domain.is_empty()).then_some(domain)
}

/// An address as it is compared: nobody tells two people apart by the case of their addresses.
pub fn address(address: &str) -> String {
    address.trim().to_lowercase()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads() -> Threads {
        Threads::new("Mail.webdata.example", "hush")
    }

    #[test]
    fn the_seal_is_an_hmac() {
        // RFC 4231, test case 2.
        let threads = Threads::new("x", "Jefe");
        assert_eq!(threads.seal("what do ya want for nothing?"), "5bdcc146bf60754e");
    }

    #[test]
    fn a_mail_made_again_has_the_same_id_and_others_have_others() {
        let id = |comment, recipient| threads().message_id("WD-12", comment, false, recipient);
        assert_eq!(id("7", "a@b.example"), id("7", " A@B.example "));
        assert_ne!(id("7", "a@b.example"), id("8", "a@b.example"));
        assert_ne!(id("7", "a@b.example"), id("7", "c@b.example"));
    }

    #[test]
    fn an_answer_finds_its_ticket() {
        let about = |ticket: &str, internal| {
            Some(About {
                ticket: ticket.to_owned(),
                internal,
            })
        };
        let threads = threads();
        let id = threads.message_id("WD-12", "10045", true, "a@b.example");
        assert_eq!(threads.about(&id), about("WD-12", true));
        assert_eq!(
            threads.about(&format!("<{}>", id.to_uppercase())),
            about("WD-12", true)
        );
        assert_eq!(threads.about(&threads.root("WD_X-1")), about("WD_X-1", false));
        assert_eq!(
            threads.about_address(&threads.reply_to("WD-12", false)),
            about("WD-12", false)
        );
        assert_eq!(
            threads.about_address(&threads.reply_to("WD-12", true)),
            about("WD-12", true)
        );
        assert!(threads.is_ours(&threads.single("k", "a@b.example")));
        assert_eq!(threads.about(&threads.single("k", "a@b.example")), None);
    }

    #[test]
    fn nobody_else_makes_one() {
        let threads = threads();
        let id = threads.message_id("WD-12", "10045", false, "a@b.example");
        for forged in [
            id.replace("wd-12", "wd-13"),
            id.replace(".p.", ".i."),
            id.replace("mail.webdata", "mail.other"),
            Threads::new("mail.webdata.example", "else").root("WD-12"),
            "@mail.webdata.example".to_owned(),
            ".@mail.webdata.example".to_owned(),
            String::new(),
        ] {
            assert_eq!(threads.about(&forged), None, "{forged}");
        }
    }
}
