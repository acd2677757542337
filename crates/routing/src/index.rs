//! Which routes an event type can concern, without asking all of them.
//!
//! A pattern is filed by what of it is literal: one without a star under itself, one with stars under what stands before
//! its first star or behind its last, whichever is longer. An event type asks for itself, for its own prefixes and for
//! its own suffixes; only what is filed there is compared. So the cost of an event grows with the routes that share its
//! beginning or its end, and not with those that do not.

use std::collections::HashMap;

use segno_event::TypePattern;

/// The patterns of all routes; routes go by their positions.
#[derive(Debug, Default)]
pub(crate) struct Index {
    exact: HashMap<String, Vec<usize>>,
    by_prefix: Prefixes,
    /// By the end of the pattern, from behind.
    by_suffix: Prefixes,
}

/// A pattern with a star, and the route it is of.
#[derive(Debug)]
struct Filed {
    pattern: TypePattern,
    route: usize,
}

impl Index {
    /// Files the patterns of each route.
    pub(crate) fn new<'a>(routes: impl IntoIterator<Item = &'a [TypePattern]>) -> Self {
        let mut exact: HashMap<String, Vec<usize>> = HashMap::new();
        let (mut prefixes, mut suffixes) = (HashMap::new(), HashMap::new());
        for (route, patterns) in routes.into_iter().enumerate() {
            for pattern in patterns {
                let text = pattern.as_str();
                let (Some(first), Some(last)) = (text.find('*'), text.rfind('*')) else {
                    exact.entry(text.to_owned()).or_default().push(route);
                    continue;
                };
                let (prefix, suffix) = (&text[..first], &text[last + 1..]);
                let filed = Filed {
                    pattern: pattern.clone(),
                    route,
                };
                let (place, key) = if suffix.len() > prefix.len() {
                    (&mut suffixes, suffix.bytes().rev().collect())
                } else {
                    (&mut prefixes, prefix.as_bytes().to_vec())
                };
                place.entry(key).or_insert_with(Vec::new).push(filed);
            }
        }
        Self {
            exact,
            by_prefix: Prefixes::new(prefixes),
            by_suffix: Prefixes::new(suffixes),
        }
    }

    /// The routes with a pattern that matches the type, in their order, each once.
    pub(crate) fn matching(&self, ty: &str) -> Vec<usize> {
        let mut found = self.exact.get(ty).cloned().unwrap_or_default();
        let backwards: Vec<u8> = ty.bytes().rev().collect();
        let filed = self
            .by_prefix
            .of(ty.as_bytes())
            .chain(self.by_suffix.of(&backwards));
        found.extend(
            filed
                .filter(|filed| filed.pattern.matches(ty))
                .map(|filed| filed.route),
        );
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Byte strings and what is filed under each: a trie, written down as its nodes in order, each with a link to its
/// parent. All keys that a text begins with are found by one binary search and a walk up.
#[derive(Debug, Default)]
struct Prefixes(Vec<Node>);

#[derive(Debug)]
struct Node {
    key: Vec<u8>,
    /// The longest other key that this one begins with.
    parent: Option<usize>,
    filed: Vec<Filed>,
}

impl Prefixes {
    fn new(filed: HashMap<Vec<u8>, Vec<Filed>>) -> Self {
        let mut filed: Vec<_> = filed.into_iter().collect();
        filed.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut nodes: Vec<Node> = Vec::with_capacity(filed.len());
        for (key, filed) in filed {
            // In this order a key's parent is the one before it, or an ancestor of that.
            let before = nodes.len().checked_sub(1);
            let parent = ancestors(&nodes, before).find(|&at| key.starts_with(&nodes[at].key));
            nodes.push(Node { key, parent, filed });
        }
        Self(nodes)
    }

    /// What is filed under the keys that `text` begins with.
    fn of(&self, text: &[u8]) -> impl Iterator<Item = &Filed> {
        // Whatever stands between a prefix of the text and the text itself begins with that prefix: so the last key that
        // is not behind the text has all of them among its ancestors.
        let last = self
            .0
            .partition_point(|node| node.key.as_slice() <= text)
            .checked_sub(1);
        ancestors(&self.0, last)
            .map(|at| &self.0[at])
            .filter(move |node| text.starts_with(&node.key))
            .flat_map(|node| &node.filed)
    }
}

/// A node and all it descends from, upwards.
fn ancestors(nodes: &[Node], from: Option<usize>) -> impl Iterator<Item = usize> {
    std::iter::successors(from, |&at| nodes[at].parent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(texts: &[&str]) -> Vec<TypePattern> {
        texts
            .iter()
            .map(|text| text.parse().expect("a pattern"))
            .collect()
    }

    #[test]
    fn every_kind_of_pattern_is_found() {
        let routes = [
            patterns(&["order.placed"]),
            patterns(&["order.*"]),
            patterns(&["*.placed"]),
            patterns(&["*"]),
            patterns(&["*der.p*"]),
            patterns(&["o*d", "order.placed"]),
            patterns(&["order.*.paid"]),
            patterns(&["order.placed.*"]),
        ];
        let index = Index::new(routes.iter().map(Vec::as_slice));
        assert_eq!(index.matching("order.placed"), [0, 1, 2, 3, 4, 5]);
        assert_eq!(index.matching("order.7.paid"), [1, 3, 5, 6]);
        assert_eq!(index.matching(""), [3]);
        assert_eq!(index.matching("lead.created"), [3]);
    }

    proptest! {
        #[test]
        fn is_the_linear_scan(
            routes in prop::collection::vec(prop::collection::vec("[ab.é*]{1,6}", 0..4), 0..20),
            types in prop::collection::vec("[ab.é]{0,8}", 1..10),
        ) {
            let routes: Vec<Vec<TypePattern>> = routes
                .iter()
                .map(|texts| texts.iter().map(|text| text.parse().expect("a pattern")).collect())
                .collect();
            let index = Index::new(routes.iter().map(Vec::as_slice));
            for ty in types {
                let linear: Vec<usize> = (0..routes.len())
                    .filter(|&route| routes[route].iter().any(|pattern| pattern.matches(&ty)))
                    .collect();
                prop_assert_eq!(index.matching(&ty), linear, "{}", ty);
            }
        }
    }
}
