-- The health of a ModelServing, for Argo CD. Only what was said of the present generation counts: until then, and for
-- all that heals by itself, it is Progressing, since Degraded would fail a sync. Argo CD gives a script no more than
-- Lua's base and table libraries.
local health = { status = "Progressing", message = "Waiting for the operator" }

local generation = obj.metadata.generation
if obj.status == nil or obj.status.conditions == nil or obj.status.observedGeneration ~= generation then
  return health
end

-- Conditions of the present generation, by type.
local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  if condition.observedGeneration == generation then
    conditions[condition.type] = condition
  end
end

local function because(condition)
  return condition.reason .. ": " .. condition.message
end

-- Something needs a person: a version that was taken back, a spec that is refused, a rollout that is stuck.
local degraded = conditions.Degraded
if degraded ~= nil and degraded.status == "True" then
  return { status = "Degraded", message = because(degraded) }
end

local ready = conditions.Ready
local progressing = conditions.Progressing
local complete = conditions.RolloutComplete
if degraded == nil or ready == nil or progressing == nil or complete == nil then
  return health
end

-- A rollout that a person has stopped goes on when a person lets it.
if obj.status.canary ~= nil and obj.status.canary.phase == "Paused" then
  return { status = "Suspended", message = because(progressing) }
end

if progressing.status == "True" then
  return { status = "Progressing", message = because(progressing) }
end

if complete.status ~= "True" then
  return { status = "Progressing", message = because(complete) }
end

-- No replica is what was asked for.
if ready.status == "True" or ready.reason == "NoReplicas" then
  return { status = "Healthy", message = because(ready) }
end

return { status = "Progressing", message = because(ready) }
