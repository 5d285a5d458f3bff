import type { Dashboard } from "./dashboard.ts";

/** Labels that a ServiceMonitor of Naru's gives every series of a serving pod or router. */
const OWN = 'namespace=~"$namespace",naru_dev_model_serving=~"$serving"';
/** Answers that are the server's fault: HTTP 5xx, and gRPC's UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE. */
const FAILED = 'code=~"5..|grpc_(2|4|8|13|14)"';
const RATE = "[$__rate_interval]";
/** A server of another's image has no metrics of Naru's, but the router before it has. */
const SERVED = '__name__=~"naru_inference_count|naru_router_ready"';

const rate = (metric: string, labels = OWN) => `rate(${metric}{${labels}}${RATE})`;
const perRequest = (part: string) =>
  `sum(${rate(`naru_inference_${part}_duration_us`)}) / sum(${rate("naru_inference_request_success")})`;

export const servingDashboard: Dashboard = {
  uid: "naru-serving",
  title: "Naru / Serving",
  description: "What clients of ModelServings see, and where the time goes.",
  variables: [
    {
      name: "namespace",
      label: "Namespace",
      query: `label_values({${SERVED}}, namespace)`,
      all: ".+",
    },
    {
      name: "serving",
      label: "ModelServing",
      query: `label_values({${SERVED},namespace=~"$namespace"}, naru_dev_model_serving)`,
      // Not what has no such label: every process of the cluster has a memory.
      all: ".+",
    },
  ],
  rows: [
    {
      title: "Router: what clients see, where a resource has a canary or a graph",
      panels: [
        {
          title: "Requests",
          description: "By revision: a canary's share grows with its steps.",
          unit: "reqps",
          queries: [
            { expr: `sum by (revision) (${rate("naru_router_requests_total")})`, legend: "{{revision}}" },
          ],
        },
        {
          title: "Failed requests",
          description: "Share of answers that are the server's fault. A canary is judged by the same.",
          unit: "percentunit",
          queries: [
            {
              expr: `(sum by (revision) (${rate("naru_router_requests_total", `${OWN},${FAILED}`)}) or 0 * sum by (revision) (${rate("naru_router_requests_total")})) / sum by (revision) (${rate("naru_router_requests_total")})`,
              legend: "{{revision}}",
            },
          ],
        },
        {
          title: "Latency",
          description: "99th percentile, from a request's forwarding to the end of its answer.",
          unit: "s",
          queries: [
            {
              expr: `histogram_quantile(0.99, sum by (le, revision) (${rate("naru_router_request_duration_seconds_bucket")}))`,
              legend: "p99 {{revision}}",
            },
          ],
        },
        {
          title: "Mirrored requests",
          description: "What the comparison of the canary's answer with the stable one's said.",
          unit: "reqps",
          queries: [
            {
              expr: `sum by (revision, outcome) (${rate("naru_router_mirrored_total")})`,
              legend: "{{revision}} {{outcome}}",
            },
          ],
        },
        {
          title: "Held requests",
          description: "Requests that wait for a pod, and those refused because too many did or none came.",
          unit: "short",
          queries: [
            { expr: `sum(naru_router_held{${OWN}})`, legend: "held" },
            { expr: `sum(${rate("naru_router_held_refused_total")})`, legend: "refused a second" },
          ],
        },
        {
          title: "Routers",
          description: "Routers that apply a configuration, and the requests that are in them.",
          unit: "short",
          queries: [
            { expr: `sum(naru_router_ready{${OWN}})`, legend: "ready" },
            { expr: `sum(naru_router_in_flight{${OWN}})`, legend: "in flight" },
          ],
        },
      ],
    },
    {
      title: "Inference",
      panels: [
        {
          title: "Answered requests",
          description: "By model and revision.",
          unit: "reqps",
          queries: [
            {
              expr: `sum by (model, revision) (${rate("naru_inference_request_success")})`,
              legend: "{{model}} {{revision}}",
            },
          ],
        },
        {
          title: "Refused and failed requests",
          description:
            "REJECTED: the queue was full or the deadline over. CANCELED: the client left. BACKEND: the model.",
          unit: "reqps",
          queries: [
            { expr: `sum by (reason) (${rate("naru_inference_request_failure")})`, legend: "{{reason}}" },
          ],
        },
        {
          title: "Requests in the server",
          description: "Waiting or running. What grows without bound is too much load for the replicas.",
          unit: "short",
          queries: [
            { expr: `sum by (pod) (naru_inference_pending_request_count{${OWN}})`, legend: "{{pod}}" },
          ],
        },
        {
          title: "Where the time goes",
          description: "Mean a request. A request is charged the whole time of the run that it shared.",
          unit: "µs",
          queries: ["queue", "compute_input", "compute_infer", "compute_output"].map((part) => ({
            expr: perRequest(part),
            legend: part,
          })),
        },
        {
          title: "Wait for a run",
          description: "99th percentile.",
          unit: "µs",
          queries: [
            {
              expr: `histogram_quantile(0.99, sum by (le) (${rate("naru_inference_queue_delay_us_bucket")}))`,
              legend: "p99",
            },
          ],
        },
        {
          title: "Rows a run",
          description: "Mean size of a batch.",
          unit: "short",
          queries: [
            {
              expr: `sum by (model) (${rate("naru_inference_batch_size_sum")}) / sum by (model) (${rate("naru_inference_batch_size_count")})`,
              legend: "{{model}}",
            },
          ],
        },
      ],
    },
    {
      title: "Processes",
      panels: [
        {
          title: "Memory",
          description: "Resident, by pod.",
          unit: "bytes",
          queries: [{ expr: `process_resident_memory_bytes{${OWN}}`, legend: "{{pod}}" }],
        },
        {
          title: "CPU",
          description: "Cores, by pod.",
          unit: "short",
          queries: [{ expr: rate("process_cpu_seconds_total"), legend: "{{pod}}" }],
        },
        {
          title: "Event loop",
          description: "99th percentile of its lag: how long a request waits before anything looks at it.",
          unit: "s",
          queries: [{ expr: `nodejs_eventloop_lag_p99_seconds{${OWN}}`, legend: "{{pod}}" }],
        },
      ],
    },
  ],
};
