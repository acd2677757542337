// A workflow interceptor: it hands the header `trace` on to activities.

import type {
  Headers,
  WorkflowInboundCallsInterceptor,
  WorkflowInterceptorsFactory,
  WorkflowOutboundCallsInterceptor,
} from '@temporalio/workflow';

export const interceptors: WorkflowInterceptorsFactory = () => {
  let received: Headers = {};
  const inbound: WorkflowInboundCallsInterceptor = {
    async execute(input, next) {
      received = input.headers;
      return await next(input);
    },
  };
  const outbound: WorkflowOutboundCallsInterceptor = {
    async scheduleActivity(input, next) {
      return await next({ ...input, headers: { ...input.headers, ...received } });
    },
  };
  return { inbound: [inbound], outbound: [outbound] };
};
