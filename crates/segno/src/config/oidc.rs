//! `[http.oidc]`: people sign in at an OpenID Connect provider.

use segno_sinks::Confidential;
use url::Url;

use super::access::role;
use super::reader::{Reader, Text, given};
use super::section::Section;
use super::{Code, Mistake, table};
use crate::access::Role;

/// What is asked for, unless configured.
const SCOPES: [&str; 3] = ["openid", "profile", "email"];
/// The claim that names a person, unless configured.
const NAME: &str = "email";

/// An OpenID Connect provider, and whom of it may do what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// The provider: its address as its tokens have it.
    pub issuer: Url,
    /// What the provider calls this Segno.
    pub client_id: String,
    /// Proves to the provider that it is this Segno; none for a public client.
    pub client_secret: Option<Confidential>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Whom tokens are for that programs send; this Segno's id unless configured.
    pub audience: String,
    /// Where browsers reach this Segno, if not at the name that they ask for.
    pub url: Option<Url>,
    /// The claim that names a person in the logs.
    pub name_claim: String,
    /// The claim that says what a person is.
    pub role_claim: Option<String>,
    /// Its values for each role; the strongest counts.
    pub roles: Vec<(Role, Vec<String>)>,
    /// The role of everybody else; none: nobody else may do anything.
    pub default_role: Option<Role>,
}

pub(super) fn read(reader: &mut Reader<'_>, section: Option<Section<'_>>) -> Option<Oidc> {
    let mut section = section?;
    let span = section.span.clone();
    let issuer = section
        .required(reader, "issuer")
        .and_then(|text| url(reader, "issuer", &text));
    let client_id = section
        .required(reader, "client_id")
        .and_then(|text| given(reader, "client_id", &text));
    let client_secret = section
        .take("client_secret")
        .map(|value| table::read::<Confidential>(reader, value));
    let scopes = section.strings(reader, "scopes", true);
    let audience = section.string(reader, "audience");
    let reached = section.string(reader, "url");
    let reached = reached.map(|text| url(reader, "url", &text));
    let name_claim = section.string(reader, "name_claim");
    let role_claim = section.string(reader, "role_claim");
    let roles = section
        .table(reader, "roles", "http.oidc.roles")
        .map(|section| roles(reader, section))
        .unwrap_or_default();
    let default_role = section.string(reader, "default_role");
    let default_role = default_role.map(|text| role(reader, &text));
    section.finish(reader);
    if roles.is_empty() && default_role.is_none() {
        let help = "say which values of a claim make which role, such as role_claim = \"groups\" and roles = { admin = \
                    [\"segno-admins\"] }, or give everybody one: default_role = \"viewer\"";
        let mistake = Mistake::new(Code::Oidc, "nobody who signs in would have a role", help);
        reader.report(mistake.at(span.clone(), "no roles"));
    }
    if !roles.is_empty() && role_claim.is_none() {
        let help = "name the claim that the values are of, such as role_claim = \"groups\"";
        reader.report(Mistake::new(Code::Oidc, "`roles` is of no claim", help).at(span, "no `role_claim`"));
    }
    let text = |text: Option<Text<'_>>| text.map(|text| text.text.to_owned());
    let client_id = client_id?;
    let scopes = scopes.iter().map(|scope| scope.text.to_owned());
    let mut scopes: Vec<_> = scopes.collect();
    if scopes.is_empty() {
        scopes = SCOPES.map(str::to_owned).into();
    }
    if !scopes.iter().any(|scope| scope == "openid") {
        scopes.insert(0, "openid".to_owned());
    }
    Some(Oidc {
        issuer: issuer?,
        audience: text(audience).unwrap_or_else(|| client_id.clone()),
        client_id,
        client_secret: client_secret.flatten(),
        scopes,
        url: reached.flatten(),
        name_claim: text(name_claim).unwrap_or_else(|| NAME.to_owned()),
        role_claim: text(role_claim),
        roles,
        default_role: default_role.flatten(),
    })
}

fn roles(reader: &mut Reader<'_>, mut section: Section<'_>) -> Vec<(Role, Vec<String>)> {
    let mut roles = Vec::new();
    // The strongest first.
    for role in Role::ALL.into_iter().rev() {
        let values = section.strings(reader, role.name(), true);
        let values: Vec<_> = values.into_iter().map(|value| value.text.to_owned()).collect();
        if !values.is_empty() {
            roles.push((role, values));
        }
    }
    section.finish(reader);
    roles
}

/// An address that nobody on the way can read or answer for; on this machine any will do.
fn url(reader: &mut Reader<'_>, key: &str, text: &Text<'_>) -> Option<Url> {
    let parsed = Url::parse(text.text).ok().filter(|url| {
        let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && is_here))
    });
    if parsed.is_none() {
        let message = format!("`{key}` is no address with https");
        let help = "write one like https://login.example.com/realms/main; http is for addresses of this machine alone";
        reader.report(Mistake::new(Code::Oidc, message, help).at(text.span.clone(), "no https address"));
    }
    parsed
}
