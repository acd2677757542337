//! The generated service traits, each RPC handed to its group's file. What is not here answers
//! UNIMPLEMENTED by name.

use temporalio_protos::{
    grpc::health::v1::{HealthCheckRequest, HealthCheckResponse},
    temporal::api::{
        operatorservice::v1 as operator,
        workflowservice::v1::{self as workflow},
    },
};
use tonic::Status;

use super::Service;
use crate::answer::WithHistory;
use crate::rpc::{Call, Health, OperatorService, WorkflowService};

/// One RPC: its trait method, its request and response, and the function that does it.
macro_rules! rpcs {
    ($package:ident: $($method:ident($request:ident) -> $response:ident = $function:ident $(($call:ident))?;)*) => {
        $(
            async fn $method(&self, request: $package::$request, call: Call) -> Result<$package::$response, Status> {
                let _ = &call;
                Ok(Service::$function(self, request $(, rpcs!(@call $call call))?).await?)
            }
        )*
    };
    (@call call $call:ident) => { $call };
}

impl WorkflowService for Service {
    async fn get_system_info(
        &self,
        _request: workflow::GetSystemInfoRequest,
        _call: Call,
    ) -> Result<workflow::GetSystemInfoResponse, Status> {
        Ok(self.system_info())
    }

    async fn get_cluster_info(
        &self,
        _request: workflow::GetClusterInfoRequest,
        _call: Call,
    ) -> Result<workflow::GetClusterInfoResponse, Status> {
        Ok(self.cluster_info())
    }

    async fn poll_workflow_task_queue(
        &self,
        request: workflow::PollWorkflowTaskQueueRequest,
        call: Call,
    ) -> Result<WithHistory<workflow::PollWorkflowTaskQueueResponse>, Status> {
        Ok(self.poll_workflow_task(request, call).await?)
    }

    async fn get_workflow_execution_history(
        &self,
        request: workflow::GetWorkflowExecutionHistoryRequest,
        call: Call,
    ) -> Result<WithHistory<workflow::GetWorkflowExecutionHistoryResponse>, Status> {
        Ok(self.get_history(request, call).await?)
    }

    rpcs! { workflow:
        register_namespace(RegisterNamespaceRequest) -> RegisterNamespaceResponse = register_namespace;
        describe_namespace(DescribeNamespaceRequest) -> DescribeNamespaceResponse = describe_namespace;
        list_namespaces(ListNamespacesRequest) -> ListNamespacesResponse = list_namespaces(call);
        update_namespace(UpdateNamespaceRequest) -> UpdateNamespaceResponse = update_namespace;
        deprecate_namespace(DeprecateNamespaceRequest) -> DeprecateNamespaceResponse = deprecate_namespace;
        start_workflow_execution(StartWorkflowExecutionRequest) -> StartWorkflowExecutionResponse = start_workflow;
        signal_with_start_workflow_execution(SignalWithStartWorkflowExecutionRequest)
            -> SignalWithStartWorkflowExecutionResponse = signal_with_start;
        respond_workflow_task_completed(RespondWorkflowTaskCompletedRequest) -> RespondWorkflowTaskCompletedResponse
            = workflow_task_completed(call);
        respond_workflow_task_failed(RespondWorkflowTaskFailedRequest) -> RespondWorkflowTaskFailedResponse
            = workflow_task_failed;
        respond_query_task_completed(RespondQueryTaskCompletedRequest) -> RespondQueryTaskCompletedResponse
            = query_task_completed;
        reset_sticky_task_queue(ResetStickyTaskQueueRequest) -> ResetStickyTaskQueueResponse = reset_sticky;
        record_worker_heartbeat(RecordWorkerHeartbeatRequest) -> RecordWorkerHeartbeatResponse
            = record_worker_heartbeat;
        list_workers(ListWorkersRequest) -> ListWorkersResponse = list_workers;
        count_workers(CountWorkersRequest) -> CountWorkersResponse = count_workers;
        describe_worker(DescribeWorkerRequest) -> DescribeWorkerResponse = describe_worker;
        describe_task_queue(DescribeTaskQueueRequest) -> DescribeTaskQueueResponse = describe_task_queue;
        list_task_queue_partitions(ListTaskQueuePartitionsRequest) -> ListTaskQueuePartitionsResponse
            = list_partitions;
        update_task_queue_config(UpdateTaskQueueConfigRequest) -> UpdateTaskQueueConfigResponse
            = update_task_queue_config;
        list_worker_deployments(ListWorkerDeploymentsRequest) -> ListWorkerDeploymentsResponse
            = list_worker_deployments;
        describe_worker_deployment(DescribeWorkerDeploymentRequest) -> DescribeWorkerDeploymentResponse
            = describe_worker_deployment;
        describe_worker_deployment_version(DescribeWorkerDeploymentVersionRequest)
            -> DescribeWorkerDeploymentVersionResponse = describe_worker_deployment_version;
        create_worker_deployment(CreateWorkerDeploymentRequest) -> CreateWorkerDeploymentResponse
            = create_worker_deployment;
        create_worker_deployment_version(CreateWorkerDeploymentVersionRequest)
            -> CreateWorkerDeploymentVersionResponse = create_worker_deployment_version;
        set_worker_deployment_current_version(SetWorkerDeploymentCurrentVersionRequest)
            -> SetWorkerDeploymentCurrentVersionResponse = set_current_version;
        set_worker_deployment_ramping_version(SetWorkerDeploymentRampingVersionRequest)
            -> SetWorkerDeploymentRampingVersionResponse = set_ramping_version;
        set_worker_deployment_manager(SetWorkerDeploymentManagerRequest) -> SetWorkerDeploymentManagerResponse
            = set_deployment_manager;
        update_worker_deployment_version_metadata(UpdateWorkerDeploymentVersionMetadataRequest)
            -> UpdateWorkerDeploymentVersionMetadataResponse = update_version_metadata;
        delete_worker_deployment(DeleteWorkerDeploymentRequest) -> DeleteWorkerDeploymentResponse
            = delete_worker_deployment;
        delete_worker_deployment_version(DeleteWorkerDeploymentVersionRequest)
            -> DeleteWorkerDeploymentVersionResponse = delete_worker_deployment_version;
        get_worker_build_id_compatibility(GetWorkerBuildIdCompatibilityRequest)
            -> GetWorkerBuildIdCompatibilityResponse = build_id_compatibility;
        update_worker_build_id_compatibility(UpdateWorkerBuildIdCompatibilityRequest)
            -> UpdateWorkerBuildIdCompatibilityResponse = update_build_id_compatibility;
        get_worker_versioning_rules(GetWorkerVersioningRulesRequest) -> GetWorkerVersioningRulesResponse
            = versioning_rules;
        update_worker_versioning_rules(UpdateWorkerVersioningRulesRequest) -> UpdateWorkerVersioningRulesResponse
            = update_versioning_rules;
        get_worker_task_reachability(GetWorkerTaskReachabilityRequest) -> GetWorkerTaskReachabilityResponse
            = task_reachability;
        describe_deployment(DescribeDeploymentRequest) -> DescribeDeploymentResponse = describe_deployment;
        list_deployments(ListDeploymentsRequest) -> ListDeploymentsResponse = list_deployments;
        get_deployment_reachability(GetDeploymentReachabilityRequest) -> GetDeploymentReachabilityResponse
            = deployment_reachability;
        get_current_deployment(GetCurrentDeploymentRequest) -> GetCurrentDeploymentResponse = current_deployment;
        set_current_deployment(SetCurrentDeploymentRequest) -> SetCurrentDeploymentResponse
            = set_current_deployment;
        pause_workflow_execution(PauseWorkflowExecutionRequest) -> PauseWorkflowExecutionResponse = pause_workflow;
        unpause_workflow_execution(UnpauseWorkflowExecutionRequest) -> UnpauseWorkflowExecutionResponse
            = unpause_workflow;
        shutdown_worker(ShutdownWorkerRequest) -> ShutdownWorkerResponse = shut_down_worker;
        poll_activity_task_queue(PollActivityTaskQueueRequest) -> PollActivityTaskQueueResponse
            = poll_activity_task(call);
        poll_nexus_task_queue(PollNexusTaskQueueRequest) -> PollNexusTaskQueueResponse = poll_nexus_task(call);
        respond_activity_task_completed(RespondActivityTaskCompletedRequest) -> RespondActivityTaskCompletedResponse
            = activity_completed;
        respond_activity_task_completed_by_id(RespondActivityTaskCompletedByIdRequest)
            -> RespondActivityTaskCompletedByIdResponse = activity_completed_by_id;
        respond_activity_task_failed(RespondActivityTaskFailedRequest) -> RespondActivityTaskFailedResponse
            = activity_failed;
        respond_activity_task_failed_by_id(RespondActivityTaskFailedByIdRequest)
            -> RespondActivityTaskFailedByIdResponse = activity_failed_by_id;
        respond_activity_task_canceled(RespondActivityTaskCanceledRequest) -> RespondActivityTaskCanceledResponse
            = activity_canceled;
        respond_activity_task_canceled_by_id(RespondActivityTaskCanceledByIdRequest)
            -> RespondActivityTaskCanceledByIdResponse = activity_canceled_by_id;
        record_activity_task_heartbeat(RecordActivityTaskHeartbeatRequest) -> RecordActivityTaskHeartbeatResponse
            = activity_heartbeat;
        record_activity_task_heartbeat_by_id(RecordActivityTaskHeartbeatByIdRequest)
            -> RecordActivityTaskHeartbeatByIdResponse = activity_heartbeat_by_id;
        start_activity_execution(StartActivityExecutionRequest) -> StartActivityExecutionResponse
            = start_activity_execution;
        describe_activity_execution(DescribeActivityExecutionRequest) -> DescribeActivityExecutionResponse
            = describe_activity_execution(call);
        poll_activity_execution(PollActivityExecutionRequest) -> PollActivityExecutionResponse
            = poll_activity_execution(call);
        list_activity_executions(ListActivityExecutionsRequest) -> ListActivityExecutionsResponse
            = list_activities;
        count_activity_executions(CountActivityExecutionsRequest) -> CountActivityExecutionsResponse
            = count_activities;
        request_cancel_activity_execution(RequestCancelActivityExecutionRequest)
            -> RequestCancelActivityExecutionResponse = cancel_activity_execution;
        terminate_activity_execution(TerminateActivityExecutionRequest) -> TerminateActivityExecutionResponse
            = terminate_activity_execution;
        delete_activity_execution(DeleteActivityExecutionRequest) -> DeleteActivityExecutionResponse
            = delete_activity_execution;
        pause_activity(PauseActivityRequest) -> PauseActivityResponse = pause_activity;
        unpause_activity(UnpauseActivityRequest) -> UnpauseActivityResponse = unpause_activity;
        reset_activity(ResetActivityRequest) -> ResetActivityResponse = reset_activity;
        update_activity_options(UpdateActivityOptionsRequest) -> UpdateActivityOptionsResponse
            = update_activity_options;
        pause_activity_execution(PauseActivityExecutionRequest) -> PauseActivityExecutionResponse
            = pause_activity_execution;
        unpause_activity_execution(UnpauseActivityExecutionRequest) -> UnpauseActivityExecutionResponse
            = unpause_activity_execution;
        reset_activity_execution(ResetActivityExecutionRequest) -> ResetActivityExecutionResponse
            = reset_activity_execution;
        update_activity_execution_options(UpdateActivityExecutionOptionsRequest)
            -> UpdateActivityExecutionOptionsResponse = update_activity_execution_options;
        signal_workflow_execution(SignalWorkflowExecutionRequest) -> SignalWorkflowExecutionResponse = signal;
        request_cancel_workflow_execution(RequestCancelWorkflowExecutionRequest)
            -> RequestCancelWorkflowExecutionResponse = request_cancel;
        terminate_workflow_execution(TerminateWorkflowExecutionRequest) -> TerminateWorkflowExecutionResponse
            = terminate;
        update_workflow_execution(UpdateWorkflowExecutionRequest) -> UpdateWorkflowExecutionResponse
            = update_workflow(call);
        poll_workflow_execution_update(PollWorkflowExecutionUpdateRequest) -> PollWorkflowExecutionUpdateResponse
            = poll_update(call);
        execute_multi_operation(ExecuteMultiOperationRequest) -> ExecuteMultiOperationResponse
            = execute_multi_operation(call);
        reset_workflow_execution(ResetWorkflowExecutionRequest) -> ResetWorkflowExecutionResponse = reset_workflow;
        delete_workflow_execution(DeleteWorkflowExecutionRequest) -> DeleteWorkflowExecutionResponse = delete_workflow;
        start_batch_operation(StartBatchOperationRequest) -> StartBatchOperationResponse = start_batch;
        stop_batch_operation(StopBatchOperationRequest) -> StopBatchOperationResponse = stop_batch;
        describe_batch_operation(DescribeBatchOperationRequest) -> DescribeBatchOperationResponse = describe_batch;
        list_batch_operations(ListBatchOperationsRequest) -> ListBatchOperationsResponse = list_batches;
        query_workflow(QueryWorkflowRequest) -> QueryWorkflowResponse = query_workflow(call);
        get_workflow_execution_history_reverse(GetWorkflowExecutionHistoryReverseRequest)
            -> GetWorkflowExecutionHistoryReverseResponse = get_history_reverse;
        update_workflow_execution_options(UpdateWorkflowExecutionOptionsRequest)
            -> UpdateWorkflowExecutionOptionsResponse = update_workflow_options;
        describe_workflow_execution(DescribeWorkflowExecutionRequest) -> DescribeWorkflowExecutionResponse
            = describe_workflow;
        list_workflow_executions(ListWorkflowExecutionsRequest) -> ListWorkflowExecutionsResponse = list_workflows;
        list_open_workflow_executions(ListOpenWorkflowExecutionsRequest) -> ListOpenWorkflowExecutionsResponse
            = list_open;
        list_closed_workflow_executions(ListClosedWorkflowExecutionsRequest)
            -> ListClosedWorkflowExecutionsResponse = list_closed;
        list_archived_workflow_executions(ListArchivedWorkflowExecutionsRequest)
            -> ListArchivedWorkflowExecutionsResponse = list_archived;
        scan_workflow_executions(ScanWorkflowExecutionsRequest) -> ScanWorkflowExecutionsResponse = scan;
        get_search_attributes(GetSearchAttributesRequest) -> GetSearchAttributesResponse = get_search_attributes;
        count_workflow_executions(CountWorkflowExecutionsRequest) -> CountWorkflowExecutionsResponse
            = count_workflows;
        create_schedule(CreateScheduleRequest) -> CreateScheduleResponse = create_schedule;
        describe_schedule(DescribeScheduleRequest) -> DescribeScheduleResponse = describe_schedule;
        update_schedule(UpdateScheduleRequest) -> UpdateScheduleResponse = update_schedule;
        patch_schedule(PatchScheduleRequest) -> PatchScheduleResponse = patch_schedule;
        list_schedule_matching_times(ListScheduleMatchingTimesRequest) -> ListScheduleMatchingTimesResponse
            = list_schedule_matching_times;
        delete_schedule(DeleteScheduleRequest) -> DeleteScheduleResponse = delete_schedule;
        list_schedules(ListSchedulesRequest) -> ListSchedulesResponse = list_schedules;
        count_schedules(CountSchedulesRequest) -> CountSchedulesResponse = count_schedules;
    }
}

impl OperatorService for Service {
    rpcs! { operator:
        add_search_attributes(AddSearchAttributesRequest) -> AddSearchAttributesResponse = add_search_attributes;
        remove_search_attributes(RemoveSearchAttributesRequest) -> RemoveSearchAttributesResponse
            = remove_search_attributes;
        list_search_attributes(ListSearchAttributesRequest) -> ListSearchAttributesResponse
            = list_search_attributes;
        delete_namespace(DeleteNamespaceRequest) -> DeleteNamespaceResponse = delete_namespace;
        list_clusters(ListClustersRequest) -> ListClustersResponse = list_clusters;
        list_nexus_endpoints(ListNexusEndpointsRequest) -> ListNexusEndpointsResponse = list_nexus_endpoints;
    }
}

impl Health for Service {
    async fn check(&self, request: HealthCheckRequest, _call: Call) -> Result<HealthCheckResponse, Status> {
        Ok(self.health(request).await?)
    }
}
