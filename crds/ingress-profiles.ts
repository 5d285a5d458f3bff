/**
 * Idle time-outs of what stands before a model's pods. A server must keep an idle connection open for longer
 * than its client does, or the client sends a request into a connection that is being closed.
 * Values are each product's documented default: ALB `idle_timeout.timeout_seconds`, NGINX upstream
 * `keepalive_timeout`, Traefik `idleConnTimeout`, Google's external load balancer back-end keep-alive,
 * Envoy `common_http_protocol_options.idle_timeout`.
 */
export const INGRESS_PROFILES = {
  ALB: { idleTimeoutSeconds: 60, deregistrationSeconds: 30 },
  NGINX: { idleTimeoutSeconds: 60, deregistrationSeconds: 5 },
  Traefik: { idleTimeoutSeconds: 90, deregistrationSeconds: 5 },
  GCP: { idleTimeoutSeconds: 600, deregistrationSeconds: 30 },
  Envoy: { idleTimeoutSeconds: 3600, deregistrationSeconds: 5 },
} as const;

export type IngressProfile = keyof typeof INGRESS_PROFILES;

/** Added to the idle time-out: covers a proxy's clock and the time that a request needs on its way. */
export const KEEP_ALIVE_MARGIN_SECONDS = 15;
