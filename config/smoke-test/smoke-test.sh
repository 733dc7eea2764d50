#!/bin/sh
# Create a workspace, ask its model, and delete it: smoke-test.sh MODEL. It is the same test for
# `make deploy` and for a Job in the cluster, and uses nothing but aichatctl. AICHAT_SERVER is the API's
# address; AICHAT_TOKEN is a token, or AICHAT_TOKEN_FILE has one. TIMEOUT is for the creation.
set -eu

# Nobody else's: they are in a team of their own, and the token has no rights in another one.
name=aichat-smoke-test team=aichat-smoke-tests
model=$1
if [ -n "${AICHAT_TOKEN_FILE:-}" ]; then
  AICHAT_TOKEN=$(cat "$AICHAT_TOKEN_FILE")
  export AICHAT_TOKEN
fi

delete() {
  status=0
  aichatctl delete "$name" --team "$team" --yes "$@" || status=$?
  [ "$status" -eq 3 ] || return "$status"  # 3: there is none
}

# The workspace of an interrupted run would be taken for this one.
echo "removing what an interrupted run may have left"
delete --wait --timeout 5m

failed() {
  code=$?
  trap - EXIT
  if [ "$code" -ne 0 ]; then
    aichatctl describe "$name" --team "$team" || true
    delete || true
  fi
  exit "$code"
}
trap failed EXIT
trap 'exit 143' INT TERM

echo "creating the workspace $name with $model"
# It ends by itself if nothing else deletes it.
aichatctl create "$name" --team "$team" --model "$model" --set expiresAfter=1h \
  --set embeddingModel=none --wait --timeout "${TIMEOUT:-10m}"

echo "asking $model"
reply=$(aichatctl prompt "$name" --team "$team" --temperature 0 --seed 1 "What is the capital of France?")
if [ -z "$reply" ]; then
  echo "the model's reply is empty" >&2
  exit 1
fi
echo "it replies: $reply"

echo "deleting the workspace"
delete --wait --timeout 5m
echo "the smoke test has passed"
