package Bench::Peers;

# Who is measured.  A name may have an option behind a hyphen: one that only
# that peer knows, as "ours-join", or one of the shape's variants.

use strict;
use warnings;

my %class = (
    ours => 'Ours', nchan => 'Nchan', nats => 'Nats', python => 'Python',
    floor => 'Floor', raw => 'Raw',
);

# ours with more in its configuration, or with so many workers
my $ours = qr/^ours-(?:join|small|detach|[1-9]\d?)$/;


# one that may be measured in any shape
sub known { $class{$_[0]} || $_[0] =~ $ours }


sub make {
    my ($env, $name, $shape) = @_;

    my ($base, $option) = split /-/, $name, 2;
    my $class = $class{$base} // die "no peer \"$name\"\n";
    my $variant = $shape->{variants}{$option // ''} || {};

    require "./bench/peers/$class.pm";

    return "Bench::Peer::$class"->new($env, { %$shape, %$variant }, $option);
}


1;
