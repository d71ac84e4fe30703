#!/usr/bin/perl
# once

# Each fuzz target over its corpus.

use strict;
use warnings;

use File::Basename qw(basename);
use FindBin;
use Test::More;
use Test::Fanout;
use Test::Fanout::Process;

my $top = $FindBin::Bin;
my $log = "$ENV{FANOUT_BUILD}/fuzz.log";

for my $target (map { basename($_, '.c') } glob "$top/fuzz/*.c") {
    my $corpus = "$top/fuzz/corpus/$target";
    my @inputs = glob "$corpus/*";

    cmp_ok(scalar @inputs, '>', 0, "$target has a corpus");

    unlink $log;

    my $process = Test::Fanout::Process->new(
        cmd => ["$ENV{FANOUT_BUILD}/fuzz/$target", '-runs=0', $corpus],
        out => $log, err => $log);

    my $status = $process->wait(120);

    ok(defined $status && $status == 0, "$target") or show($log);
}

pass('no targets') if !glob "$top/fuzz/*.c";

done_testing();


sub show {
    my ($path) = @_;

    open my $fh, '<', $path or return;
    my @lines = <$fh>;

    splice @lines, 0, -60 if @lines > 60;
    diag(@lines);
}
