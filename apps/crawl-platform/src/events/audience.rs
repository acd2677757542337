//! Who is mailed about a comment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    payloads::Person,
    thread::{address, domain_of},
};

/// Somebody in Jira.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Their account.
    pub account: String,
    /// Their name.
    pub name: String,
    /// Their address, where the account shows it.
    pub email: Option<String>,
    /// Whether the account can be used.
    pub active: bool,
}

/// Somebody on the platform who has to do with a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Their id.
    pub user: String,
    /// Their name.
    pub name: String,
    /// Their address.
    pub email: String,
    /// Whether the account is in use.
    pub active: bool,
    /// Whether they are subscribed to what is told.
    pub subscribed: bool,
}

/// Who wrote something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// Their name, as it is shown.
    pub name: String,
    /// Their account in Jira, if they have one.
    pub account: Option<String>,
    /// Their address, if it is known.
    pub email: Option<String>,
}

impl Author {
    fn is(&self, email: &str, account: Option<&str>) -> bool {
        let same_account = account.is_some() && self.account.as_deref() == account;
        same_account
            || self
                .email
                .as_deref()
                .is_some_and(|own| address(own) == address(email))
    }
}

/// The domains of the platform's own people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternalDomains(pub Vec<String>);

impl InternalDomains {
    /// Whether this is one of the platform's own people: by the whole domain, so that neither `x@webdata.example.evil.com` nor
    /// `x@evil-webdata.example` is.
    pub fn has(&self, email: &str) -> bool {
        let domain = domain_of(email);
        domain.is_some_and(|domain| self.0.iter().any(|own| own.eq_ignore_ascii_case(domain)))
    }
}

/// Who is mailed, by the kind of mail that they get. Each address is there once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// The platform's own people.
    pub internal: Vec<Person>,
    /// All others.
    pub external: Vec<Person>,
}

/// What decides who is mailed about a comment.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// Who wrote it, and so is not mailed.
    pub author: &'a Author,
    /// Whether it is for the platform's own people alone.
    pub internal_note: bool,
    /// The ticket's watchers and participants.
    pub contacts: &'a [Contact],
    /// The users of the ticket's project.
    pub members: &'a [Member],
    /// The domains of the platform's own people.
    pub domains: &'a InternalDomains,
    /// The domain of the platform's mails: what is sent there comes back.
    pub mail_domain: &'a str,
}

/// Watchers, participants and subscribed users, once each; never the author, nor addresses of the platform's mails. Who is a
/// user and has unsubscribed, or is no user any more, gets nothing as a watcher either: they have said so.
pub fn audience(question: &Question<'_>) -> Audience {
    let mut people: BTreeMap<String, Person> = BTreeMap::new();
    let mut silent = Vec::new();
    for member in question.members {
        let key = address(&member.email);
        if member.active && member.subscribed && !question.author.is(&member.email, None) {
            people.insert(key, Person::new(&member.name, &member.email));
        } else {
            silent.push(key);
        }
    }
    for contact in question.contacts {
        let Some(email) = contact.email.as_deref() else {
            continue;
        };
        if contact.active && !question.author.is(email, Some(&contact.account)) {
            people
                .entry(address(email))
                .or_insert_with(|| Person::new(&contact.name, email));
        } else {
            // An author's account and address may be known from two places.
            silent.push(address(email));
        }
    }
    let mut audience = Audience::default();
    for (key, person) in people {
        let ours = domain_of(&key).is_none_or(|domain| domain.eq_ignore_ascii_case(question.mail_domain));
        if ours || silent.contains(&key) {
            continue;
        }
        if question.domains.has(&key) {
            audience.internal.push(person);
        } else if !question.internal_note {
            audience.external.push(person);
        }
    }
    audience
}

/// Whether somebody has to do with a ticket: one of the platform's own, a watcher, a participant, or a user of its project.
pub fn belongs(email: &str, contacts: &[Contact], members: &[Member], domains: &InternalDomains) -> bool {
    let key = address(email);
    let contact = |contact: &Contact| contact.email.as_deref().map(address).as_ref() == Some(&key);
    let member = |member: &Member| member.active && address(&member.email) == key;
    domains.has(email) || contacts.iter().any(contact) || members.iter().any(member)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(account: &str, email: &str) -> Contact {
        Contact {
            account: account.to_owned(),
            name: account.to_owned(),
            email: Some(email.to_owned()),
            active: true,
        }
    }

    fn member(email: &str, subscribed: bool) -> Member {
        Member {
            user: email.to_owned(),
            name: email.to_owned(),
            email: email.to_owned(),
            active: true,
            subscribed,
        }
    }

    struct Case {
        author: Author,
        note: bool,
        contacts: Vec<Contact>,
        members: Vec<Member>,
    }

    impl Case {
        fn ask(&self) -> (Vec<String>, Vec<String>) {
            let audience = audience(&Question {
                author: &self.author,
                internal_note: self.note,
                contacts: &self.contacts,
                members: &self.members,
                domains: &InternalDomains(vec!["webdata.example".to_owned()]),
                mail_domain: "mail.webdata.example",
            });
            let emails = |people: Vec<Person>| people.into_iter().map(|person| person.email).collect();
            (emails(audience.internal), emails(audience.external))
        }
    }

    fn case() -> Case {
        Case {
            author: Author::default(),
            note: false,
            contacts: vec![
                contact("watcher", "wanda@webdata.example"),
                contact("customer", "carla@shop.example"),
            ],
            members: vec![
                member("Carla@Shop.example", true),
                member("kim@shop.example", true),
                member("una@shop.example", false),
                member("max@webdata.example", true),
            ],
        }
    }

    #[test]
    fn internal_and_external_people_once_each() {
        let (internal, external) = case().ask();
        assert_eq!(internal, ["max@webdata.example", "wanda@webdata.example"]);
        assert_eq!(external, ["Carla@Shop.example", "kim@shop.example"]);
    }

    #[test]
    fn an_internal_note_stays_inside() {
        let (internal, external) = Case { note: true, ..case() }.ask();
        assert_eq!(internal.len(), 2);
        assert_eq!(external, [""; 0]);
    }

    #[test]
    fn the_author_gets_nothing_whichever_way_they_are_known() {
        let by_email = Author {
            email: Some("CARLA@shop.example".to_owned()),
            ..Author::default()
        };
        assert_eq!(
            Case {
                author: by_email,
                ..case()
            }
            .ask()
            .1,
            ["kim@shop.example"]
        );
        // Jira hides the author's address, and a watcher's entry for the same account has it.
        let by_account = Author {
            account: Some("customer".to_owned()),
            ..Author::default()
        };
        assert_eq!(
            Case {
                author: by_account,
                ..case()
            }
            .ask()
            .1,
            ["kim@shop.example"]
        );
    }

    #[test]
    fn who_has_unsubscribed_gets_nothing_as_a_watcher_either() {
        let mut case = case();
        case.contacts.push(contact("una", "UNA@shop.example"));
        assert!(
            !case
                .ask()
                .1
                .iter()
                .any(|email| address(email) == "una@shop.example")
        );
        case.members[0].active = false;
        assert_eq!(case.ask().1, ["kim@shop.example"], "no user any more");
    }

    #[test]
    fn domains_are_compared_as_a_whole_and_our_own_addresses_left_out() {
        let mut case = case();
        case.members.clear();
        case.contacts = vec![
            contact("a", "a@webdata.example.evil.example"),
            contact("b", "b@evil-webdata.example"),
            contact("c", "c@WEBDATA.example"),
            contact("d", "reply+wd-1.p.00@mail.webdata.example"),
            contact("e", "no address"),
        ];
        let (internal, external) = case.ask();
        assert_eq!(internal, ["c@WEBDATA.example"]);
        assert_eq!(
            external,
            ["a@webdata.example.evil.example", "b@evil-webdata.example"]
        );
    }

    #[test]
    fn strangers_are_told_from_those_who_belong() {
        let case = case();
        let belongs = |email| {
            let domains = InternalDomains(vec!["webdata.example".to_owned()]);
            belongs(email, &case.contacts, &case.members, &domains)
        };
        assert!(
            belongs("carla@SHOP.example") && belongs("una@shop.example") && belongs("new@webdata.example")
        );
        assert!(!belongs("eve@evil.example"));
    }
}
