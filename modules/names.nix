# What the name of a point may look like: it becomes part of a unit's name and
# of the trigger `schedule:<name>`.
{ lib }:
{
  isValid = name: lib.match "[a-zA-Z0-9][a-zA-Z0-9_-]*" name != null;
}
