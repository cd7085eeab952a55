# A machine whose switches take a restore point and are watched, for a window
# that a test can wait for.
{
  imports = [ ./node.nix ];
  services.cairn = {
    preSwitch.enable = true;
    gate.enable = true;
    gate.window = "10s";
  };
}
