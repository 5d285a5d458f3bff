import type { Dashboard } from "./dashboard.ts";

const OWN = 'namespace=~"$namespace"';
const LEADING = `${OWN},name="naru-operator"`;
const RATE = "[$__rate_interval]";
/** Process metrics have no name of their own: the operator's pods are those that may lead. */
const PODS = `on (namespace, pod) group_left () (0 * leader_election_master_status{${LEADING}} + 1)`;

const rate = (metric: string) => `rate(${metric}{${OWN}}${RATE})`;
const quantile = (q: number, metric: string) =>
  `histogram_quantile(${q}, sum by (le, controller) (${rate(`${metric}_bucket`)}))`;

export const operatorDashboard: Dashboard = {
  uid: "naru-operator",
  title: "Naru / Operator",
  description:
    "Which resources are not well, and whether the operator leads, keeps up, and is refused anything.",
  variables: [
    {
      name: "namespace",
      label: "Namespace",
      // Other operators have the same metrics: only where ours leads is it ours.
      query: 'label_values(leader_election_master_status{name="naru-operator"}, namespace)',
    },
  ],
  rows: [
    {
      title: "Resources",
      panels: [
        {
          title: "Resources by condition",
          description:
            "As the leader says. The table names 500 of a kind and condition at most; here are the others.",
          unit: "short",
          queries: [
            {
              expr: `sum by (kind, condition, status) (naru_resource_conditions{${OWN}}) > 0`,
              legend: "{{kind}} {{condition}} {{status}}",
            },
            {
              expr: `sum by (kind) (naru_resource_conditions_left_out{${OWN}})`,
              legend: "{{kind}} not in the table",
            },
          ],
        },
        {
          title: "Not as they should be",
          description: "Rollouts under way among them. What a person has to look at, alerts tell.",
          unit: "s",
          columns: {
            kind: "Kind",
            resource_namespace: "Namespace",
            name: "Name",
            condition: "Condition",
            status: "Status",
            reason: "Reason",
            Value: "For",
          },
          queries: [
            {
              expr: `time() - max by (kind, resource_namespace, name, condition, status, reason) (naru_resource_condition_since_timestamp_seconds{${OWN}})`,
              legend: "{{name}} {{condition}}",
            },
          ],
        },
      ],
    },
    {
      title: "Controllers",
      panels: [
        {
          title: "Leader",
          description: "1 on the replica that leads. Their sum is 1, but for the seconds of a hand-over.",
          unit: "short",
          queries: [{ expr: `leader_election_master_status{${LEADING}}`, legend: "{{pod}}" }],
        },
        {
          title: "Reconciliations",
          description: "By result.",
          unit: "ops",
          queries: [
            {
              expr: `sum by (controller, result) (${rate("controller_runtime_reconcile_total")})`,
              legend: "{{controller}} {{result}}",
            },
          ],
        },
        {
          title: "Failed and late reconciliations",
          description: "They are tried again with backoff.",
          unit: "ops",
          queries: [
            {
              expr: `sum by (controller) (${rate("controller_runtime_reconcile_errors_total")})`,
              legend: "{{controller}} failed",
            },
            {
              expr: `sum by (controller) (${rate("controller_runtime_reconcile_timeouts_total")})`,
              legend: "{{controller}} late",
            },
          ],
        },
        {
          title: "Length of a reconciliation",
          description: "Median and 99th percentile.",
          unit: "s",
          queries: [
            {
              expr: quantile(0.5, "controller_runtime_reconcile_time_seconds"),
              legend: "p50 {{controller}}",
            },
            {
              expr: quantile(0.99, "controller_runtime_reconcile_time_seconds"),
              legend: "p99 {{controller}}",
            },
          ],
        },
        {
          title: "Workers",
          description: "Reconciliations that run, and how many may.",
          unit: "short",
          queries: [
            {
              expr: `sum by (controller) (controller_runtime_active_workers{${OWN}})`,
              legend: "{{controller}}",
            },
            {
              expr: `sum by (controller) (controller_runtime_max_concurrent_reconciles{${OWN}})`,
              legend: "{{controller}} most",
            },
          ],
        },
        {
          title: "Writes",
          description: "Requests that change something. At rest there are none.",
          unit: "ops",
          queries: [
            {
              expr: `sum by (controller, verb) (${rate("naru_engine_writes_total")})`,
              legend: "{{controller}} {{verb}}",
            },
          ],
        },
      ],
    },
    {
      title: "Work queues",
      panels: [
        {
          title: "Depth",
          description: "Keys that are ready, by priority: what is new goes ahead of what is looked at again.",
          unit: "short",
          queries: [
            { expr: `sum by (name, priority) (workqueue_depth{${OWN}})`, legend: "{{name}} {{priority}}" },
          ],
        },
        {
          title: "Wait",
          description: "99th percentile of the time that a key was ready before it was taken up.",
          unit: "s",
          queries: [
            { expr: quantile(0.99, "workqueue_queue_duration_seconds"), legend: "p99 {{controller}}" },
          ],
        },
        {
          title: "Longest in work",
          description: "What stands here for minutes is stuck.",
          unit: "s",
          queries: [
            {
              expr: `max by (name) (workqueue_longest_running_processor_seconds{${OWN}})`,
              legend: "{{name}}",
            },
          ],
        },
        {
          title: "Added and tried again",
          description: "Keys a second.",
          unit: "ops",
          queries: [
            { expr: `sum by (name) (${rate("workqueue_adds_total")})`, legend: "{{name}} added" },
            { expr: `sum by (name) (${rate("workqueue_retries_total")})`, legend: "{{name}} with a delay" },
          ],
        },
        {
          title: "Work under way",
          description: "Seconds, of all keys in work together.",
          unit: "s",
          queries: [
            { expr: `sum by (name) (workqueue_unfinished_work_seconds{${OWN}})`, legend: "{{name}}" },
          ],
        },
        {
          title: "Requests to the API server",
          description: "By method and status code; <error> where there was no answer.",
          unit: "ops",
          queries: [
            {
              expr: `sum by (method, code) (${rate("rest_client_requests_total")})`,
              legend: "{{method}} {{code}}",
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
          queries: [{ expr: `process_resident_memory_bytes{${OWN}} * ${PODS}`, legend: "{{pod}}" }],
        },
        {
          title: "CPU",
          description: "Cores, by pod.",
          unit: "short",
          queries: [{ expr: `${rate("process_cpu_seconds_total")} * ${PODS}`, legend: "{{pod}}" }],
        },
        {
          title: "Event loop",
          description: "99th percentile of its lag.",
          unit: "s",
          queries: [{ expr: `nodejs_eventloop_lag_p99_seconds{${OWN}} * ${PODS}`, legend: "{{pod}}" }],
        },
      ],
    },
  ],
};
