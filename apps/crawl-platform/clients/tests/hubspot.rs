//! The client of HubSpot, against a stand-in that is checked with the vendor's own client.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::time::Duration;

use segno_crawl_clients::{
    Confidential,
    hubspot::{AssociationType, Category, HubSpot, LabelledPair, ObjectType, Options, Pair, Upsert},
};
use segno_crawl_stand_ins::{
    Fault,
    hubspot::{self as account},
};

const UPSERT: &str = "POST /crm/v3/objects/{kind}/batch/upsert";

async fn begin() -> (account::HubSpot, HubSpot) {
    let account = account::HubSpot::start().await.unwrap();
    let options = Options {
        token: Confidential::from(account::TOKEN.to_owned()),
        url: Some(account.url().parse().unwrap()),
        timeout: Some(Duration::from_secs(10)),
    };
    let hubspot = HubSpot::new(&options).unwrap();
    (account, hubspot)
}

fn contacts(count: usize) -> Vec<Upsert> {
    (0..count)
        .map(|n| Upsert::new(&format!("c{n}@example.com")).set("firstname", format!("C{n}")))
        .collect()
}

#[tokio::test]
async fn many_objects_go_by_batches_of_a_hundred() {
    let (account, hubspot) = begin().await;
    let contacts = contacts(250);
    let done = hubspot
        .upsert(ObjectType::Contacts, "email", &contacts)
        .await
        .unwrap();
    assert_eq!((done.results.len(), done.refused.len()), (250, 0));
    assert!(done.results.iter().all(|one| one.new == Some(true)));
    assert_eq!(account.control().calls(UPSERT), 3);
    let again = hubspot
        .upsert(ObjectType::Contacts, "email", &contacts)
        .await
        .unwrap();
    assert!(again.results.iter().all(|one| one.new == Some(false)));
    assert_eq!(account.objects("contacts").len(), 250);

    let mut emails: Vec<_> = contacts.iter().map(|contact| contact.id.as_str()).collect();
    emails.push("nobody@example.com");
    let read = hubspot
        .read(
            ObjectType::Contacts,
            Some("email"),
            &emails,
            &["firstname", "phone"],
        )
        .await
        .unwrap();
    assert_eq!(read.results.len(), 250);
    assert_eq!(read.results[7].properties["firstname"].as_deref(), Some("C7"));
    assert_eq!(read.results[7].properties["phone"], None);
    assert_eq!(read.refused[0].ids, ["nobody@example.com"]);
    assert_eq!(read.refused[0].category, "OBJECT_NOT_FOUND");
    let nothing = hubspot.upsert(ObjectType::Contacts, "email", &[]).await.unwrap();
    assert_eq!((nothing.results.len(), nothing.refused.len()), (0, 0));
}

#[tokio::test]
async fn what_is_refused_of_a_batch_is_told_and_the_others_are_done() {
    let (account, hubspot) = begin().await;
    let objects = [
        Upsert::new("nobody"),
        Upsert::new("ann@example.com").set("firstname", "Ann"),
    ];
    let done = hubspot
        .upsert(ObjectType::Contacts, "email", &objects)
        .await
        .unwrap();
    assert_eq!(done.results.len(), 1);
    assert_eq!(done.refused[0].ids, ["nobody"]);
    assert!(done.refused[0].to_string().contains("VALIDATION_ERROR"));
    assert_eq!(account.objects("contacts").len(), 1);
}

#[tokio::test]
async fn objects_are_associated() {
    let (account, hubspot) = begin().await;
    let contacts = hubspot
        .upsert(ObjectType::Contacts, "email", &contacts(2))
        .await
        .unwrap();
    let company = [Upsert::new("example.com").set("name", "Example")];
    let companies = hubspot
        .upsert(ObjectType::Companies, "domain", &company)
        .await
        .unwrap();
    let company = &companies.results[0].id;
    let mut pairs: Vec<_> = contacts
        .results
        .iter()
        .map(|contact| Pair {
            from: contact.id.clone(),
            to: company.clone(),
        })
        .collect();
    pairs.push(Pair {
        from: "1".to_owned(),
        to: company.clone(),
    });
    for _ in 0..2 {
        let done = hubspot
            .associate(ObjectType::Contacts, ObjectType::Companies, &pairs)
            .await
            .unwrap();
        assert_eq!(done.refused[0].ids, ["1"]);
    }
    assert_eq!(account.associated("companies", company, "contacts").len(), 2);
    let ids = [company.as_str(), "1"];
    let associated = hubspot
        .associated(ObjectType::Companies, ObjectType::Contacts, &ids)
        .await
        .unwrap();
    assert_eq!(associated.len(), 1);
    let expected: Vec<_> = contacts
        .results
        .iter()
        .map(|contact| contact.id.clone())
        .collect();
    let others: Vec<_> = associated[0].to.iter().map(|other| other.id.clone()).collect();
    assert_eq!(others, expected);
    assert!(associated[0].to[0].types.iter().all(|ty| ty.label.is_none()));
}

#[tokio::test]
async fn objects_are_associated_under_labels() {
    let (account, hubspot) = begin().await;
    account.add_label("contacts", "companies", "Decision maker");
    let contact = account.put("contacts", "email", "ann@example.com", &[]);
    let company = account.put("companies", "domain", "example.com", &[]);
    let (contacts, companies) = (ObjectType::Contacts, ObjectType::Companies);
    let types = hubspot.association_types(contacts, companies).await.unwrap();
    let labels: Vec<_> = types.iter().map(|ty| ty.label.as_deref()).collect();
    assert_eq!(labels, [None, Some("Primary"), Some("Decision maker")]);
    assert_eq!(types[2].category, Category::UserDefined);
    let pair = |from: &str, types: &[AssociationType]| LabelledPair {
        pair: Pair {
            from: from.to_owned(),
            to: company.clone(),
        },
        types: types.to_vec(),
    };
    let pairs = [pair(&contact, &types[1..]), pair("1", &types[1..])];
    for _ in 0..2 {
        let done = hubspot.associate_as(contacts, companies, &pairs).await.unwrap();
        assert_eq!(
            (done.results.len(), &done.refused[0].ids[..]),
            (1, &["1".to_owned()][..])
        );
    }
    let labels = async |of: &str| {
        let listed = hubspot.associated(companies, contacts, &[of]).await.unwrap();
        assert_eq!((listed.len(), listed[0].to.len()), (1, 1));
        let types = &listed[0].to[0].types;
        types.iter().filter_map(|ty| ty.label.clone()).collect::<Vec<_>>()
    };
    assert_eq!(labels(&company).await, ["Primary", "Decision maker"]);
    // The association stays when its labels go.
    for _ in 0..2 {
        hubspot
            .remove_labels(contacts, companies, &pairs[..1])
            .await
            .unwrap();
        assert_eq!(labels(&company).await, [""; 0]);
    }
    // A type that is none between these kinds is refused for its pair alone.
    let mut unknown = types[2].clone();
    unknown.type_id = 99;
    let done = hubspot
        .associate_as(contacts, companies, &[pair(&contact, &[unknown])])
        .await
        .unwrap();
    assert_eq!((done.results.len(), done.refused.len()), (0, 1));
}

#[tokio::test]
async fn what_may_pass_is_told_from_what_stays() {
    let (account, hubspot) = begin().await;
    let one = contacts(1);
    account
        .control()
        .fail_next(UPSERT, 1, Fault::RateLimited { retry_after: 3 });
    let limited = hubspot
        .upsert(ObjectType::Contacts, "email", &one)
        .await
        .unwrap_err();
    assert_eq!(limited.retry_after(), Some(Duration::from_secs(3)));
    assert!(limited.to_string().contains("ten_secondly_rolling"), "{limited}");
    for fault in [
        Fault::Status(500),
        Fault::Status(409),
        Fault::DroppedAfter,
        Fault::ErrorAfter,
    ] {
        account.control().fail_next(UPSERT, 1, fault);
        let error = hubspot
            .upsert(ObjectType::Contacts, "email", &one)
            .await
            .unwrap_err();
        assert!(error.is_retryable(), "{fault:?}: {error}");
    }
    // It has been done by those that were dropped after.
    let done = hubspot.upsert(ObjectType::Contacts, "email", &one).await.unwrap();
    assert_eq!(done.results[0].new, Some(false));
    assert_eq!(account.objects("contacts").len(), 1);

    let unknown = [Upsert::new("ann@example.com").set("No Such", "x")];
    let error = hubspot
        .upsert(ObjectType::Contacts, "email", &unknown)
        .await
        .unwrap_err();
    assert!(!error.is_retryable());
    assert!(
        error.to_string().contains("\"No Such\" does not exist"),
        "{error}"
    );
    let options = Options {
        token: Confidential::from("pat-hunter2".to_owned()),
        url: Some(account.url().parse().unwrap()),
        timeout: None,
    };
    let stranger = HubSpot::new(&options).unwrap();
    let error = stranger
        .upsert(ObjectType::Contacts, "email", &one)
        .await
        .unwrap_err();
    assert_eq!((error.status(), error.is_retryable()), (Some(401), false));
    assert!(!format!("{error:?}").contains("hunter2"));
}
