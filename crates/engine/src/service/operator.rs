//! The operator's service: custom search attributes.

use std::collections::HashMap;

use temporalio_protos::temporal::api::operatorservice::v1::{
    AddSearchAttributesRequest, AddSearchAttributesResponse, ListSearchAttributesRequest,
    ListSearchAttributesResponse, RemoveSearchAttributesRequest, RemoveSearchAttributesResponse,
};

use super::Service;
use crate::{
    rpc::RpcError,
    visibility::{AttributeType, predefined_attributes, system_attributes},
};

impl Service {
    pub(super) async fn add_search_attributes(
        &self,
        request: AddSearchAttributesRequest,
    ) -> Result<AddSearchAttributesResponse, RpcError> {
        let mut add = Vec::new();
        for (name, number) in request.search_attributes {
            self.limits.required_id("SearchAttribute", &name)?;
            let attribute_type = AttributeType::from_number(number).ok_or_else(|| {
                RpcError::InvalidArgument(format!(
                    "Unable to parse search attribute type {number} of {name}."
                ))
            })?;
            add.push((name, attribute_type));
        }
        if add.is_empty() {
            return Err(RpcError::InvalidArgument(
                "SearchAttributes are not set on request.".into(),
            ));
        }
        add.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                host.alter_attributes(namespace, &add, &[])
            })
            .await?;
        Ok(AddSearchAttributesResponse {})
    }

    pub(super) async fn remove_search_attributes(
        &self,
        request: RemoveSearchAttributesRequest,
    ) -> Result<RemoveSearchAttributesResponse, RpcError> {
        if request.search_attributes.is_empty() {
            return Err(RpcError::InvalidArgument(
                "SearchAttributes are not set on request.".into(),
            ));
        }
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                host.alter_attributes(namespace, &[], &request.search_attributes)
            })
            .await?;
        Ok(RemoveSearchAttributesResponse {})
    }

    pub(super) async fn list_search_attributes(
        &self,
        request: ListSearchAttributesRequest,
    ) -> Result<ListSearchAttributesResponse, RpcError> {
        let registry = self
            .host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                Ok(host.namespaces.registry(namespace))
            })
            .await?;
        let numbered =
            |(name, attribute_type): (&str, AttributeType)| (name.to_owned(), attribute_type as i32);
        let system = system_attributes().chain(predefined_attributes());
        Ok(ListSearchAttributesResponse {
            custom_attributes: registry.custom_attributes().map(numbered).collect(),
            system_attributes: system.map(numbered).collect(),
            storage_schema: HashMap::new(),
        })
    }
}
